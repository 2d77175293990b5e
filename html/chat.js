"use strict";

const limit = 100; // messages shown
const list = element("received");
const field = element("message");
const now = () => performance.now();
const wait = (delay) => new Promise((done) => setTimeout(done, delay));
const ask = (query, options) => fetch(location.pathname + query, { signal: AbortSignal.timeout(10000), ...options });

/* ids: of the messages that came, and that this page has sent */
const seen = new Set();
const own = new Set();
let last = -limit;
let arrived = [];
let hadGap = false;

/* A message may come twice: over both ways, or after a gap, where all that is kept comes again. */
function receive({ id, text, gap }) {
	if (gap) {
		hadGap = true;
		tell(element("notice"), "gap");
		return;
	}
	last = id;
	socket.url = urlAfter(last);
	if (seen.has(id))
		return;
	seen.add(id);
	arrived = [...arrived, { id, text }].slice(-limit);
	announce(text);
	update();
}

function draw() {
	arrived.map(newItem).forEach(put);
	arrived = [];
	if (hadGap)
		[...list.querySelectorAll("[data-id]")].sort((a, b) => order(a) < order(b) ? -1 : 1).forEach(put);
	while (list.querySelectorAll("[data-id]").length > limit || list.lastChild?.className === "day")
		list.lastChild.remove();
}

const order = ({ dataset }) => dataset.id.split("-").map((part) => part.padStart(20, "0")).join();

function newItem({ id, text }) {
	const item = newElement("li", "");
	const time = new Date(parseInt(id));
	Object.assign(item.dataset, { id, day: time.toLocaleDateString("sv") }); // as ISO 8601 has it
	item.append(newElement("time", time.toTimeString().slice(0, 8)), newElement("bdi", text));
	if (text.length > 600)
		fold(item, text.length);
	if (own.has(id))
		markOwn(item);
	return item;
}

/* the newest first, below the name of its day */
function put(item) {
	if (list.firstChild?.textContent !== item.dataset.day) {
		list.prepend(newElement("li", item.dataset.day));
		list.firstChild.className = "day";
	}
	list.firstChild.after(item);
}

function fold(item, length) {
	const button = newElement("button", "");
	item.lastChild.className = "folded";
	tell(button, "all", number(length));
	button.onclick = () => {
		item.children[item.childElementCount - 2].className = "";
		button.remove();
	};
	item.append(button);
}

function markOwn(item) {
	const mark = newElement("b", "");
	item.className = "own";
	tell(mark, "you");
	item.firstChild.after(mark);
}

const urlAfter = (id) => `${location.origin.replace("http", "ws")}${location.pathname}?after=${id}`;
const socket = new ReconnectingSocket(urlAfter(last), {
	onstate: showState,
	onmessage(line) {
		failures = 0;
		if (line)
			receive(JSON.parse(line));
	},
	probe: "",
});

/* WebSockets in a row that did not open, or were dead */
let failures = 0;
let isPolling = false;

function showState(state, detail) {
	tellState(state, detail);
	element("live").textContent = element("state").textContent;
	if (state === "open" && failures > 1)
		socket.check();
	if (state === "waiting" && (!detail.opened || detail.reason === "silent"))
		fail();
}

function fail() {
	if (++failures > 1 && !isPolling)
		poll();
}

/* until the WebSocket is heard again; slower while nothing comes */
async function poll() {
	isPolling = true;
	for (let delay = 2000; failures > 1 && socket.state !== "closed"; await wait(delay)) {
		try {
			const response = await ask(`?after=${last}`);
			const lines = response.ok ? (await response.text()).split("\n").filter(Boolean) : [];
			if (response.ok && failures > 1)
				tell(element("polling"), "polling", number(delay / 1000));
			lines.forEach((line) => receive(JSON.parse(line)));
			delay = lines.length ? 2000 : Math.min(delay * 1.5, 15000);
		} catch {
			tell(element("polling"), "");
		}
	}
	isPolling = false;
	tell(element("polling"), "");
}

/* What was taken must come back within 5 s, or the connection is dead. */
async function expect(id) {
	for (let tries = 0, since = now(); tries < 3 && !seen.has(id) && socket.state !== "closed"; await wait(250)) {
		if (socket.state !== "open") {
			since = now();
		} else if (now() - since > 5000) {
			tries++;
			fail();
			socket.reconnect();
		}
	}
}

/* over HTTP, which tells whether it was taken */
async function post(message) {
	const slow = setTimeout(() => socket.check(), 4000);
	try {
		const response = await ask("", { method: "POST", body: new URLSearchParams({ message }) });
		return response.status === 202 ? { id: (await response.text()).trim() } : { status: response.status };
	} catch {
		return {};
	} finally {
		clearTimeout(slow);
	}
}

/* What is typed meanwhile stays apart from what is not sent. */
async function send(message) {
	const button = element("send");
	const bytes = new TextEncoder().encode(message).length;
	if (button.ariaDisabled === "true")
		return false;
	if (bytes > 16384) {
		tell(element("notice"), "tooLong", number(bytes));
		return false;
	}
	button.ariaDisabled = true;
	if (field.value === message)
		field.value = "";
	const { id, status } = await post(message);
	button.ariaDisabled = false;
	if (id)
		taken(id);
	else if (field.value === "")
		field.value = message;
	else
		setApart(message);
	tell(element("notice"), id ? "" : "unsent", status);
	return true;
}

function taken(id) {
	const item = Array.from(list.children).find(({ dataset }) => dataset.id === id);
	own.add(id);
	if (item)
		markOwn(item);
	expect(id);
}

function setApart(message) {
	const text = element("unsent").firstChild;
	text.textContent = [text.textContent, message].filter(Boolean).join(" ");
	element("unsent").hidden = false;
}

element("again").onclick = async () => {
	const text = element("unsent").firstChild;
	const message = text.textContent;
	if (element("send").ariaDisabled === "true")
		return;
	text.textContent = "";
	element("unsent").hidden = true;
	if (!await send(message))
		setApart(message);
};
element("connect").onclick = () => socket.connect();
element("form").onsubmit = (event) => {
	event.preventDefault();
	send(field.value);
};
element("curl").textContent = element("curl").textContent.replaceAll("URL", location.origin + location.pathname);
keepThrough(socket);
socket.connect();
