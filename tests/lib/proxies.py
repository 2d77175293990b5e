"""
Proxies in front of a site, as plain as a hosting company's: each passes on everything, and ends a connection that is silent for
longer than its limit. Caddy has no such limit.
"""
import contextlib
import os
import pathlib
import subprocess
import tempfile

import stack

CONFIGURATIONS = {
    "lighttpd": ("""server.modules = ( "mod_proxy" )
server.bind = "127.0.0.1"
server.port = @PORT@
server.document-root = "@DIR@"
server.max-read-idle = @LIMIT@
proxy.header = ( "upgrade" => "enable" )
proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => @TO@ )) )
""", ["lighttpd", "-D", "-f", "@FILE@"]),
    "nginx": ("""daemon off;
pid @DIR@/nginx.pid;
error_log stderr error;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path @DIR@/tmp;
	proxy_temp_path @DIR@/tmp;
	fastcgi_temp_path @DIR@/tmp;
	uwsgi_temp_path @DIR@/tmp;
	scgi_temp_path @DIR@/tmp;
	server {
		listen 127.0.0.1:@PORT@;
		location / {
			proxy_pass http://127.0.0.1:@TO@;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection upgrade;
			proxy_read_timeout @LIMIT@s;
			proxy_send_timeout @LIMIT@s;
		}
	}
}
""", ["nginx", "-e", "stderr", "-c", "@FILE@"]),
    "apache": ("""ServerRoot "/usr/lib/apache2"
DefaultRuntimeDir "@DIR@"
PidFile "@DIR@/apache.pid"
ErrorLog "@DIR@/apache.log"
ServerName localhost
Timeout @LIMIT@
Listen 127.0.0.1:@PORT@
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
ProxyPreserveHost On
ProxyPass "/" "http://127.0.0.1:@TO@/" upgrade=websocket timeout=@LIMIT@
""", ["apache2", "-D", "FOREGROUND", "-f", "@FILE@"]),
    "haproxy": ("""global
	log stderr format raw daemon err
defaults
	mode http
	timeout client @LIMIT@s
	timeout server @LIMIT@s
	timeout connect 5s
listen proxy
	bind 127.0.0.1:@PORT@
	server site 127.0.0.1:@TO@
""", ["haproxy", "-db", "-f", "@FILE@"]),
}


class Proxy:
    """One of them, on a port of its own, before a port."""

    def __init__(self, name, to, limit):
        stack.need({"apache": "apache2"}.get(name, name))
        self.name = name
        self.temporary = tempfile.TemporaryDirectory()
        self.directory = pathlib.Path(self.temporary.name)
        self.directory.chmod(0o777)
        self.log_file = tempfile.TemporaryFile("w+")
        for _ in range(20):
            self.port = stack.free_port()
            if self.start(to, limit):
                return
        raise RuntimeError(f"{name} does not start:\n{self.log()}")

    def start(self, to, limit):
        text, command = CONFIGURATIONS[self.name]
        file = self.directory / "configuration"
        values = {"PORT": self.port, "TO": to, "LIMIT": limit, "DIR": self.directory, "FILE": file}
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        file.write_text(text)
        file.chmod(0o644)
        self.process = subprocess.Popen([part.replace("@FILE@", str(file)) for part in command], stdin=subprocess.DEVNULL, stdout=self.log_file,
                                        stderr=self.log_file, user=stack.USER, cwd="/", env={"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
        stack.wait_until(lambda: self.process.poll() is not None or stack.is_listening(self.port, self.process.pid))
        return self.process.poll() is None

    def log(self):
        return pathlib.Path(f"/proc/self/fd/{self.log_file.fileno()}").read_text(errors="backslashreplace")

    def close(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.process.kill()
        self.process.wait()
        self.temporary.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
