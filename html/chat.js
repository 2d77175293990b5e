"use strict";

const limit = 100; // messages shown
const list = element("received");
const field = element("message");
const now = () => performance.now();
const wait = (delay) => new Promise((done) => setTimeout(done, delay));
const ask = (query, options) => fetch(location.pathname + query, { signal: AbortSignal.timeout(10000), ...options });

/* the ids of the messages that came, and of those that this page has sent */
const seen = new Set();
const own = new Set();
let last = -limit;
let arrived = [];

/* A message may come over both ways, while the page goes from one to the other. */
function receive({ id, text }) {
	if (text === undefined)
		tell(element("notice"), "missing");
	if (text === undefined || seen.has(id))
		return;
	last = id;
	seen.add(id);
	if (seen.size > 1000)
		seen.delete(seen.values().next().value);
	socket.url = urlAfter(last);
	arrived = [...arrived, { id, text }].slice(-limit);
	announce(text);
	update();
}

function draw() {
	for (const message of arrived)
		add(message);
	arrived = [];
	while (list.querySelectorAll("[data-id]").length > limit || list.lastChild?.className === "day")
		list.lastChild.remove();
}

/* the newest first, below the name of its day */
function add({ id, text }) {
	const time = new Date(parseInt(id));
	const day = time.toLocaleDateString("sv"); // as ISO 8601 has it
	if (list.firstChild?.textContent !== day) {
		list.prepend(newElement("li", day));
		list.firstChild.className = "day";
	}
	const item = newElement("li", "");
	item.dataset.id = id;
	item.append(newElement("time", time.toTimeString().slice(0, 8)), newElement("bdi", text));
	if (text.length > 600)
		fold(item, text.length);
	list.firstChild.after(item);
	if (own.has(id))
		markOwn(item);
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

/* how often in a row the WebSocket did not open, or was dead */
let failures = 0;

function showState(state, detail) {
	tellState(state, detail);
	element("live").textContent = element("state").textContent;
	if (state === "open" && failures > 1)
		socket.check();
	if (state === "waiting" && (!detail.opened || detail.reason === "silent"))
		fail();
}

function fail() {
	if (++failures === 2)
		poll();
}

/* Over HTTP, until something is heard over the WebSocket again: every 2 s, and slower while nothing comes. */
async function poll() {
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
	tell(element("polling"), "");
}

/* What was taken must come back within 5 s of an open connection, which is dead otherwise. */
async function expect(id) {
	for (let tries = 0, since = now(); tries < 3 && !seen.has(id); await wait(250)) {
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

/* What is typed meanwhile stays apart from what is not sent: that is put below it. */
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
