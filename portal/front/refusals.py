"""What the front answers by itself: to requests that never reach the portal, so in both languages."""

import json
from html import escape

from portal.errors import status_code, status_title

_WORDS = {
    400: (
        "This is not a valid HTTP/1.1 request. Check the request line, the headers and the length of the body.",
        "这不是有效的 HTTP/1.1 请求，请检查请求行、请求头和正文长度。",
    ),
    408: (
        "The request did not arrive in time. Check your connection and send it again.",
        "请求未能及时送达，请检查网络后重新发送。",
    ),
    413: (
        "What was sent is too large. Send a file as an upload, and say its length in Content-Length.",
        "发送的内容过大。发送文件请使用上传功能，并在 Content-Length 中注明长度。",
    ),
    414: (
        "The address is too long: at most 8 KiB. Send fewer or shorter parameters.",
        "网址过长，最多 8 KiB，请减少或缩短参数。",
    ),
    417: (
        "The only expectation that is met is 100-continue. Send the request without the Expect header.",
        "只支持 100-continue，请去掉 Expect 请求头后重新发送。",
    ),
    429: (
        "Too many requests from your network wait for an answer. Wait a few seconds, and send fewer at once.",
        "来自您所在网络的待处理请求过多，请过几秒再试，并减少同时发送的请求。",
    ),
    431: (
        "The headers are too large: at most 100, and 64 KiB in all. Remove some, or delete this site's cookies.",
        "请求头过大，最多 100 个、共 64 KiB。请减少请求头，或清除本站的 Cookie。",
    ),
    500: (
        "Something went wrong. Try again; if it happens again, tell the operator.",
        "出错了，请重试；如再次发生，请联系管理员。",
    ),
    503: (
        "The portal is very busy. Try again in a few seconds.",
        "系统繁忙，请过几秒再试。",
    ),
    505: (
        "Only HTTP/1.1 is spoken here. Send the request again as HTTP/1.1.",
        "这里只支持 HTTP/1.1，请改用 HTTP/1.1 重新发送。",
    ),
}
_CODES = {429: "too_many_waiting", 431: "headers_too_large", 503: "too_busy"}


def is_api(target: bytes) -> bool:
    """Whether programs ask there: they are answered in JSON."""
    return target.startswith((b"/api/", b"/health/"))


def refusal(status: int, target: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body."""
    english, chinese = _WORDS[status]
    title = status_title(status)
    headers = [
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ]
    if status in (408, 429, 503):
        headers.append(("Retry-After", "5"))
    if is_api(target):
        problem = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": f"{english} {chinese}",
            "instance": target.partition(b"?")[0][:200].decode("latin-1"),
            "code": _CODES.get(status) or status_code(status),
            "request_id": "",
            "errors": [],
        }
        headers.append(("Content-Type", "application/problem+json"))
        return headers, json.dumps(problem, ensure_ascii=False).encode()
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><main><h1>{status} {escape(title)}</h1><p>{escape(english)}</p>"
        f'<p lang="zh-CN">{chinese}</p><p><a href="/">Start page</a> <a href="/" lang="zh-CN">首页</a></p>'
        "</main></html>\n"
    )
    headers.append(("Content-Type", "text/html; charset=utf-8"))
    return headers, page.encode()
