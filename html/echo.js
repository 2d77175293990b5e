"use strict";

/* At / the whole host is the demo and its endpoint is /echo; elsewhere page and endpoint share one URL. */
const path = location.pathname === "/" ? "/echo" : location.pathname;
const socketUrl = (location.protocol === "https:" ? "wss://" : "ws://") + location.host + path;
const historyLimit = 500;

const element = (id) => document.getElementById(id);
const message = element("message");
let socket = null;

/* Shows the connection's state in words, and enables what can be done in it. */
function show(state, text) {
	element("state").dataset.state = state;
	element("state").value = text;
	element("connect").disabled = state !== "closed";
	element("send").disabled = state !== "open";
	element("close").disabled = state === "closed";
}

/* Newest first. As text: what comes back is never taken for HTML. */
function receive(way, text) {
	const item = document.createElement("li");
	const label = document.createElement("b");
	const body = document.createElement("span");
	label.textContent = way;
	body.textContent = text;
	item.append(label, " ", body);
	element("received").prepend(item);
	while (element("received").childElementCount > historyLimit)
		element("received").lastElementChild.remove();
}

function connect() {
	const opened = new WebSocket(socketUrl);
	socket = opened;
	show("connecting", "connecting");
	opened.onopen = () => socket === opened && show("open", "open");
	opened.onmessage = (event) => receive("WebSocket", event.data);
	opened.onclose = (event) => {
		if (socket !== opened)
			return;
		socket = null;
		show("closed", "closed (code " + event.code + ")");
	};
}

/* The connection is over for the user at once; the server's answer to the close may take its time. */
function close() {
	const closing = socket;
	socket = null;
	show("closed", "closed");
	closing.close(1000);
}

function send(event) {
	event.preventDefault();
	if (socket && socket.readyState === WebSocket.OPEN)
		socket.send(message.value);
}

async function sendOverHttp() {
	try {
		const response = await fetch(path + "?message=" + encodeURIComponent(message.value), { cache: "no-store" });
		const text = await response.text();
		receive("HTTP", response.ok ? text : "error " + response.status);
	} catch (error) {
		receive("HTTP", String(error));
	}
}

element("url").textContent = path;
element("connect").onclick = connect;
element("close").onclick = close;
element("form").onsubmit = send;
element("http").onclick = sendOverHttp;
/* A browser may keep the page of a visitor who went on, and with it the connection. */
addEventListener("pagehide", () => socket && close());
