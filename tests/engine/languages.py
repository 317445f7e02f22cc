"""Headers and names as tables of many countries have them, with the encodings such tables are in."""

LANGUAGES = {
    "zh-Hans": (
        "gb18030",
        ("序号|姓名|部门|入职日期|城市|人口|备注|客户名称|联系电话|地址"),
        (
            "阿森松岛|阿尔巴尼亚|奥地利|巴巴多斯|布隆迪|荷属加勒比区|白俄罗斯|刚果（布）|中国|佛得角|梁鑫|"
            "李欣|蔡利|朱冬梅|邓伟"
        ),
    ),
    "zh-Hant": (
        "big5",
        ("序號|姓名|部門|到職日期|城市|人口|備註|客戶名稱|聯絡電話|地址"),
        (
            "阿森松島|阿爾巴尼亞|奧地利|巴貝多|蒲隆地|荷蘭加勒比區|白俄羅斯|剛果（布拉薩）|中國|維德角|沈文欽|"
            "蔡建成|高美惠|施宇翔|陳麗卿"
        ),
    ),
    "ja": (
        "shift_jis euc-jp",
        ("番号|氏名|部署|入社日|都市|人口|備考|顧客名|電話番号|住所"),
        (
            "アセンション島|アルバニア|オーストリア|バルバドス|ブルンジ|オランダ領カリブ|ベラルーシ|"
            "コンゴ共和国(ブラザビル)|中国|カーボベルデ|木村 陽一|渡辺 直樹|山田 真綾|鈴木 晃|吉田 明美"
        ),
    ),
    "ko": (
        "euc-kr",
        ("번호|이름|부서|입사일|도시|인구|비고|고객명|전화번호|주소"),
        (
            "어센션섬|알바니아|오스트리아|바베이도스|부룬디|네덜란드령 카리브|벨라루스|콩고-브라자빌|중국|"
            "카보베르데|홍정훈|박영길|안미숙|전시우|김영희"
        ),
    ),
    "ru": (
        "windows-1251 koi8-r ibm866",
        ("Номер|Фамилия|Отдел|Дата приёма|Город|Население|Примечание|Клиент|Телефон|Адрес"),
        (
            "о-в Вознесения|Албания|Австрия|Барбадос|Бурунди|Бразилия|Белиз|Швейцария|Колумбия|Кюрасао|"
            "Сазонов Арсений Дмитриевич|Мишин Радим Харитонович|Устинова Евфросиния Болеславовна|"
            "Никита Феликсович Кошелев|Агата Петровна Федотова"
        ),
    ),
    "uk": (
        "windows-1251 koi8-u",
        ("Номер|Прізвище|Відділ|Дата прийому|Місто|Населення|Примітка|Клієнт|Телефон|Адреса"),
        (
            "Острів Вознесіння|Албанія|Австрія|Барбадос|Бурунді|Карибські Нідерланди|Білорусь|"
            "Конго – Браззавіль|Китай|Кабо-Верде|Ганна Колесниченко|Орися Шовкопляс|Сергій Закусило|"
            "Альбіна Таран|пані Ада Червоненко"
        ),
    ),
    "de": (
        "windows-1252",
        ("Städte|Bevölkerung|Straße|Stückpreis|Geändert am|Größe|Fälligkeit|Währung|Gerätetyp|Zuständig"),
        (
            "Österreich|Ägypten|Grönland|Palästinensische Autonomiegebiete|"
            "Französische Süd- und Antarktisgebiete|Bekir Neuschäfer B.Sc.|Nico Matthäi|Zbigniew Löchel B.Sc.|"
            "Dörte Stey|Gereon Hölzenbecher MBA."
        ),
    ),
    "fr": (
        "windows-1252",
        ("Numéro|Département|Date d'entrée|Société|Téléphone|N° commande|Désignation|Quantité|État|Créé le"),
        (
            "Île de l’Ascension|Bosnie-Herzégovine|Île Bouvet|Île Clipperton|Équateur|Micronésie|Grèce|"
            "Indonésie|Corée du Nord|Macédoine du Nord|Stéphanie Georges|Françoise Gauthier|Adélaïde Grenier|"
            "Théodore Henry-Prévost|Jérôme Grondin-Labbé"
        ),
    ),
    "es": (
        "windows-1252",
        (
            "Número|Fecha de contratación|Población|Observación|Razón social|Teléfono|Dirección|N.º de pedido|"
            "Artículo|Situación"
        ),
        (
            "Isla de la Ascensión|Bélgica|Bután|Diego García|Gabón|Japón|Santa Lucía|Omán|"
            "Territorios alejados de Oceanía|Sudán del Sur|Rocío Gallego Burgos|Albina Porta Roselló|"
            "Ale Alonso Amigó|Adelia del Gascón|Paola Andres Álamo"
        ),
    ),
    "pt": (
        "windows-1252",
        (
            "Número|Data de admissão|Município|População|Observação|Razão social|Endereço|Nº do pedido|"
            "Descrição|Preço unitário"
        ),
        (
            "Ilha de Ascensão|Antártida|Bulgária|Canadá|Curaçao|União Europeia|Geórgia|"
            "Ilhas Geórgia do Sul e Sandwich do Sul|Território Britânico do Oceano Índico|Quênia|"
            "Benício da Cunha|Cauã Dias|Antônio Alves|Ágatha Albuquerque|Srta. Vitória Câmara"
        ),
    ),
    "pl": (
        "windows-1250 iso-8859-2",
        ("Imię|Dział|Miejscowość|Ludność|Nr zamówienia|Ilość|Płeć|Województwo|Termin płatności|Zakończono"),
        (
            "Wyspa Wniebowstąpienia|Białoruś|Dżibuti|Kambodża|Macedonia Północna|Słowacja|"
            "Organizacja Narodów Zjednoczonych|Juliusz Piaścik|pan Marek Narożna|Adrianna Bogumił|"
            "Liwia Świech|pan Mateusz Żołnierczyk"
        ),
    ),
    "cs": (
        "windows-1250",
        ("Číslo|Jméno|Oddělení|Datum nástupu|Město|Počet obyvatel|Poznámka|Zákazník|Číslo objednávky|Název zboží"),
        (
            "Spojené arabské emiráty|Ålandy|Brazílie|Středoafrická republika|Curaçao|Dánsko|Evropská unie|"
            "Spojené království|Hongkong – ZAO Číny|Irák|Břetislav Ježek|Vlasta Novák|Jiřina Čermáková|"
            "Rostislav Müller DSc.|Adéla Tůmová"
        ),
    ),
    "el": (
        "windows-1253 iso-8859-7",
        ("Αριθμός|Όνομα|Τμήμα|Ημερομηνία πρόσληψης|Πόλη|Πληθυσμός|Παρατηρήσεις|Πελάτης|Τηλέφωνο|Διεύθυνση"),
        (
            "Νήσος Ασενσιόν|Αλβανία|Αυστρία|Μπαρμπέιντος|Μπουρούντι|Ολλανδία Καραϊβικής|Λευκορωσία|"
            "Κονγκό - Μπραζαβίλ|Κίνα|Πράσινο Ακρωτήριο|Πυθαγόρας Χατζηκύρκος|Ευριπίδης Γιατρομανωλάκης|"
            "Ταξιαρχία Πέτση|Πιερρίνα Νικολάου|Δαμασκηνή Γρηγορίου"
        ),
    ),
    "tr": (
        "windows-1254",
        ("Sıra|Adı|Bölüm|İşe giriş tarihi|Şehir|Nüfus|Açıklama|Müşteri|Sipariş no|Ürün adı"),
        (
            "Ascension Adası|Karayip Hollandası|Cook Adaları|Christmas Adası|Avrupa Birliği|Fransız Guyanası|"
            "Hırvatistan|İran|Güney Kore|Moğolistan|Prof. Serda Güçlü Şensoy|Gülçe Sakarya Soylu|"
            "İzgü Kısakürek|Yrd. Doç. Adal Semat Aslan|Yrd. Doç. Açıkel Gülşahin Yıldırım"
        ),
    ),
    "vi": (
        "windows-1258",
        ("Số thứ tự|Họ tên|Phòng ban|Ngày vào làm|Thành phố|Dân số|Ghi chú|Khách hàng|Điện thoại|Địa chỉ"),
        (
            "Đảo Ascension|Úc|Đảo Bouvet|Trung Quốc|Đức|Tây Ban Nha|Pháp|Quần đảo Heard và McDonald|"
            "St. Kitts và Nevis|Ma-rốc|Cô Hạnh Trần|Quý ông Châu Bùi|Cô Chi Nguyễn|Kim Văn Dương|Quang Hoàng"
        ),
    ),
    "th": (
        "windows-874",
        ("ลำดับ|ชื่อ|แผนก|วันที่เริ่มงาน|เมือง|ประชากร|หมายเหตุ|ลูกค้า|โทรศัพท์|ที่อยู่"),
        (
            "เกาะแอสเซนชัน|แอลเบเนีย|ออสเตรีย|บาร์เบโดส|บุรุนดี|เนเธอร์แลนด์แคริบเบียน|เบลารุส|"
            "คองโก - บราซซาวิล|จีน|เคปเวิร์ด|ชิดชนก เยาวธนโชค|พุทธิพงษ์ ดัตพันธุ์|เพ็ญยุภา แท่นทอง|"
            "นวรรษนันท์ ทวีเดช|ฌาฆีภัตฐ์ ธรรมนิยม"
        ),
    ),
    "ar": (
        "windows-1256",
        ("الرقم|الاسم|القسم|تاريخ التعيين|المدينة|عدد السكان|ملاحظات|العميل|الهاتف|العنوان"),
        (
            "جزيرة أسينشيون|ألبانيا|النمسا|بربادوس|بوروندي|هولندا الكاريبية|بيلاروس|الكونغو - برازافيل|الصين|"
            "الرأس الأخضر|الأستاذ عالم آل رفيع|السيدة لوليا فصيل|الأستاذة افتكار العليان|كتوم الراشد|"
            "مصباح آل معيض"
        ),
    ),
    "he": (
        "windows-1255",
        ("מספר|שם|מחלקה|תאריך התחלה|עיר|אוכלוסייה|הערות|לקוח|טלפון|כתובת"),
        (
            "האי אסנשן|אלבניה|אוסטריה|ברבדוס|בורונדי|האיים הקריביים ההולנדיים|בלארוס|קונגו - ברזאויל|סין|"
            "כף ורדה|עומרי עבדאללה|יוגב יעקבי|רבקה אלון|עומר יונס|אביב ימין"
        ),
    ),
}
