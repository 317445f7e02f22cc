# One image for web, worker, dispatcher and migrations; compose.yaml says which command each runs.

FROM python:3.13-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt /build/
RUN pip install --no-compile --only-binary :all: --require-hashes -r /build/requirements.txt
# Bytecode for what we import; all of the cloud SDK would double the image. The exit code says nothing: some packages
# carry templates that do not compile.
RUN python -m compileall -qq -j0 -x 'tencentcloud/(?!common|captcha)|babel/locale|pygments/lexers' /opt/venv/lib || true
WORKDIR /app
COPY portal portal
COPY migrations migrations
COPY wsgi.py celery_app.py ./
RUN pybabel --quiet compile -d portal/translations && python -m compileall -q portal migrations wsgi.py celery_app.py

FROM python:3.13-slim-trixie
RUN useradd --system --uid 10001 --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin portal \
    && install -d -o portal -g portal /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PORTAL_MODE=production INSTANCE_PATH=/data
WORKDIR /app
USER 10001
VOLUME /data
EXPOSE 8000
# By a name the portal answers to: it refuses hosts that ALLOWED_HOSTS does not name.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", "import http.client, os, sys; host = os.environ.get('ALLOWED_HOSTS', '').split(',')[0].strip().lstrip('.') or 'localhost'; connection = http.client.HTTPConnection('127.0.0.1', 8000, timeout=4); connection.request('GET', '/health/live', headers={'Host': host}); sys.exit(connection.getresponse().status != 200)"]
CMD ["python", "-m", "portal.keepalive", "python", "-m", "portal.front", "--host", "0.0.0.0", "--processes", "2"]
