// Node's http and the package ws
const http = require("http");
const { WebSocketServer } = require("ws");

const server = http.createServer((request, response) => {
	const message = new URL(request.url, "http://localhost").searchParams.get("message") ?? "";
	response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8", "Content-Length": Buffer.byteLength(message) });
	response.end(message);
});
const sockets = new WebSocketServer({ server, path: "/echo" });
sockets.on("connection", (socket) => {
	socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(Number(process.argv[2]), "127.0.0.1");
