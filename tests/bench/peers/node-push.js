// ws and node-redis: what one client sends is published, and every client gets it
const { WebSocketServer, WebSocket } = require("ws");
const { createClient } = require("redis");

async function main() {
	const publisher = createClient({ socket: { path: process.env.DUPLEX_REDIS } });
	const subscriber = publisher.duplicate();
	await Promise.all([publisher.connect(), subscriber.connect()]);

	const sockets = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), path: "/chat" });
	sockets.on("connection", (socket) => {
		socket.on("message", (data) => publisher.publish("chat", data.toString()));
	});
	await subscriber.subscribe("chat", (text) => {
		for (const socket of sockets.clients) {
			if (socket.readyState === WebSocket.OPEN)
				socket.send(text);
		}
	});
}

main();
