"use strict";

/* At / the whole host is the demo; elsewhere page and endpoint share one URL. */
const path = location.pathname === "/" ? "/echo" : location.pathname;
/* of messages, and of characters of each */
const limit = 300;
const element = (id) => document.getElementById(id);
const now = () => performance.now();

/* What an element says stays with it, for the other language. */
let language;

function tell(target, key, value = "") {
	const word = words[language][key] || "";
	Object.assign(target.dataset, { word: key, value });
	target.textContent = word.call ? word(value) : word;
}

function speak(choice) {
	language = document.documentElement.lang = choice;
	document.title = words[language].heading;
	for (const target of document.querySelectorAll("[data-word]"))
		tell(target, target.dataset.word, target.dataset.value);
	element("language").lang = words[language].other;
}

/* The choice lasts where the browser lets it. */
function choose() {
	speak(words[language].other);
	try {
		localStorage.setItem("language", language);
	} catch {}
}

function preferredLanguage() {
	const tags = [...navigator.languages, "en"];
	try {
		tags.unshift(localStorage.getItem("language") || "");
	} catch {}
	return tags.map((tag) => tag.split("-")[0]).find((tag) => words[tag]);
}

const tallies = ["WebSocket", "HTTP"].map((way) => ({ way, count: 0, bytes: 0, totals: [0], trips: [] }));
const [byWebSocket, byHttp] = tallies;

/* What arrived is shown once a frame, however much it is. */
let arrived = [];
let frame = 0;

function receive(tally, text, trip, bytes) {
	tally.count++;
	tally.bytes += bytes;
	tally.trips = [...tally.trips, trip].slice(-limit);
	tally.totals = [...tally.totals, tally.totals.at(-1) + bytes].slice(-limit);
	arrived = [newItem(tally.way, text, trip), ...arrived].slice(0, limit);
	announce();
	update();
}

function update() {
	frame ||= requestAnimationFrame(draw);
}

function draw() {
	const list = element("received");
	frame = 0;
	list.prepend(...arrived);
	arrived = [];
	while (list.childElementCount > limit)
		list.lastChild.remove();
	tallies.forEach(drawFigures);
	drawPlot();
}

const number = (value) => Math.round(value).toLocaleString(language);
const milliseconds = (value) => value.toFixed(1) + " ms";

function drawFigures({ count, bytes, totals, trips }, way) {
	const middle = [...trips].sort((a, b) => a - b)[trips.length >> 1];
	[number(count), number(bytes / count || 0), number(totals.at(-1)), milliseconds(middle || 0)]
		.forEach((text, row) => element("figures").rows[row + 1].cells[way + 1].textContent = text);
}

function drawPlot() {
	const right = Math.max(...tallies.map(({ totals }) => totals.length - 1), 1);
	const top = Math.max(...tallies.map(({ totals }) => totals.at(-1)), 1);
	element("plot").replaceChildren(...tallies.map(({ way, totals }) => {
		const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
		line.setAttribute("class", way);
		line.setAttribute("points", totals.map((total, index) => [index / right * 100, 100 - total / top * 100]).join(" "));
		return line;
	}));
}

/* As text: what comes back is never taken for HTML. */
function newElement(name, text) {
	return Object.assign(document.createElement(name), { textContent: text });
}

function newItem(way, text, trip) {
	const item = newElement("li", "");
	const time = newElement("time", new Date().toTimeString().slice(0, 8));
	const rest = text.length > limit ? words[language].length(number(text.length)) : "";
	item.className = way;
	item.append(time, newElement("b", way), newElement("i", milliseconds(trip)), newElement("bdi", text.slice(0, limit)), rest);
	return item;
}

/* A screen reader hears a sentence a second at most. */
let unheard = 0;

function announce() {
	if (unheard++ === 0)
		setTimeout(() => {
			element("live").textContent = words[language].news(unheard);
			unheard = 0;
		}, 1000);
}

let sent = [];
let answered;
let ticking;

const socket = new ReconnectingSocket(location.origin.replace("http", "ws") + path, {
	onstate: showState,
	onmessage(text) {
		const trip = now() - (sent.shift() ?? now());
		const length = bytesIn(text);
		receive(byWebSocket, text, trip, frameBytes(length, true) + frameBytes(length, false));
		answered?.();
	},
});

function showState(state, { attempt, delay, opened = true, code = state === "closed" ? 1000 : "" }) {
	const box = element("state");
	const end = now() + delay;
	const tick = () => tell(box, state, delay ? Math.ceil((end - now()) / 1000) : attempt);
	clearInterval(ticking);
	if (state === "waiting")
		ticking = setInterval(tick, 250);
	if (state === "open")
		byWebSocket.totals.push(byWebSocket.totals.pop() + handshakeBytes(path));
	sent = [];
	tick();
	box.dataset.state = state;
	if (state !== "connecting" || attempt === 1) // until then the reason stays
		tell(element("why"), code && (opened ? "ended" : "refused"), code);
	element("connect").ariaDisabled = state === "open" || state === "connecting";
	element("close").ariaDisabled = state === "closed";
	element("live").textContent = `${box.textContent}. ${element("why").textContent}`;
	update();
	answered?.();
}

function send(event) {
	const since = now();
	const done = socket.send(element("message").value);
	if (done)
		sent.push(since);
	tell(element("notice"), done ? "" : "unsent");
	event?.preventDefault();
	return done;
}

async function sendOverHttp() {
	const target = `${path}?${new URLSearchParams({ message: element("message").value })}`;
	const since = now();
	let status;
	try {
		const response = await fetch(target);
		const text = await response.text();
		const trip = now() - since;
		status = response.status;
		if (status === 200)
			receive(byHttp, text, trip, requestBytes(target) + responseBytes(response, text));
	} catch {}
	tell(element("notice"), status === 200 ? "" : "failed", status);
	return status === 200;
}

/* in turn, lest one way slows the other */
async function compare() {
	for (let left = 10; left > 0 && send(); left--) {
		await new Promise((done) => answered = done);
		if (!await sendOverHttp())
			return;
	}
}

element("path").textContent = path;
element("connect").onclick = () => socket.connect();
element("close").onclick = () => socket.close();
element("http").onclick = sendOverHttp;
element("compare").onclick = compare;
element("language").onclick = choose;
element("form").onsubmit = send;
/* A browser may keep the page of a visitor who went on, and with it the connection. */
addEventListener("pagehide", () => socket.close());
speak(preferredLanguage());
draw();
