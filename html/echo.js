"use strict";

const path = new URL(element("form").action).pathname;
const limit = 300; // messages, and characters of each
const now = () => performance.now();

/* No figure is more exact than the browser's clock: its least step in ms. */
const least = Array.from({ length: 5e4 }, now).reduce((least, time, index, times) => Math.min(least, time - times[index - 1] || 100), 100);
const step = Math.max(Math.round(least * 10) / 10, 0.1);
const milliseconds = (value) => (value < step ? `< ${step}` : value.toFixed(value < 10 && step < 1 ? 1 : 0)) + " ms";

/* total is of messages and handshakes, totals[n] what it was after n messages */
const tallies = ["WebSocket", "HTTP"].map((way) => ({ way, count: 0, bytes: 0, total: 0, totals: [0], trips: [] }));
const [byWebSocket, byHttp] = tallies;
let arrived = [];

function addBytes(tally, bytes) {
	tally.total += bytes;
	tally.totals[tally.count] = tally.total;
}

function receive(tally, text, trip, bytes) {
	const item = newElement("li", "");
	tally.count++;
	tally.bytes += bytes;
	addBytes(tally, bytes);
	tally.trips = [...tally.trips, trip].slice(-limit);
	item.className = tally.way;
	item.append(newElement("time", new Date().toTimeString().slice(0, 8)), newElement("b", tally.way), newElement("i", milliseconds(trip)),
		newElement("bdi", text.slice(0, limit)), text.length > limit ? say("length", number(text.length)) : "");
	arrived = [item, ...arrived].slice(0, limit);
	announce();
	update();
}

function draw() {
	const list = element("received");
	const used = tallies.filter(({ count }) => count).sort((a, b) => b.total - a.total);
	list.prepend(...arrived);
	arrived = [];
	while (list.childElementCount > limit)
		list.lastChild.remove();
	tell(element("all"), "all", list.childElementCount);
	element("all").hidden = !list.className || list.childElementCount <= 10;
	used.forEach(drawFigures);
	if (used.length)
		drawResult(used);
}

function drawFigures({ way, count, bytes, trips }) {
	const [each, trip] = document.querySelectorAll(`.${way} .figure b`);
	each.textContent = number(bytes / count);
	trip.textContent = milliseconds([...trips].sort((a, b) => a - b)[trips.length >> 1]);
}

/* Of as many messages as both have. The larger total is at the top; the name of the other keeps clear. */
function drawResult(used) {
	const count = Math.min(byWebSocket.count, byHttp.count);
	const [less, more] = tallies.map(({ way, totals }) => [totals[count], way]).sort(([a], [b]) => a - b);
	const x = (index) => index / Math.max(byWebSocket.count, byHttp.count) * 100;
	const y = (total) => 100 - total / used[0].total * 100;
	tell(element("result"), count > 1 ? "result" : "one", [number(count), more[1], (more[0] / less[0]).toFixed(1), less[1]].join(" "));
	element("lines").hidden = true;
	element("plot").replaceChildren(...used.map(({ way, totals }) => {
		const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
		line.setAttribute("class", way);
		line.setAttribute("points", totals.map((total, index) => [x(index), y(total)]).join(" "));
		return line;
	}));
	element("names").replaceChildren(...used.map(({ way, count, total }, index) => {
		const name = newElement("b", `${way} ${number(total)}`);
		name.className = way;
		Object.assign(name.style, { left: `${x(count)}%`, top: `${Math.max(y(total), index * 18)}%` });
		return name;
	}));
}

/* when what is not answered was sent, oldest first; 0 for a probe */
let sent = [];
let changed = () => {};
const change = () => new Promise((done) => changed = done);

const socket = new ReconnectingSocket(location.origin.replace("http", "ws") + path, {
	onstate: showState,
	onmessage(text) {
		const length = bytesIn(text);
		const bytes = frameBytes(length, true) + frameBytes(length, false);
		const since = sent.shift();
		if (since === 0)
			addBytes(byWebSocket, bytes);
		else
			receive(byWebSocket, text, now() - since, bytes);
		changed();
	},
	probe() {
		sent.push(0);
		return "";
	},
});

const tellNotice = (key, value) => tell(element("notice"), key, value);

function showState(state, detail) {
	const { attempt, opened = true, code = state === "closed" ? 1000 : "", reason } = detail;
	const lost = sent.filter(Boolean).length;
	tellState(state, detail);
	sent = [];
	if (state === "open")
		addBytes(byWebSocket, handshakeBytes(path));
	if (lost)
		tellNotice("lost", lost);
	else if (state === "open" && element("notice").dataset.word !== "lost")
		tellNotice("");
	if (state !== "connecting" || attempt === 1) // until then the reason stays
		tell(element("why"), reason === "silent" ? reason : code && (opened ? "ended" : "refused"), code);
	element("close").ariaDisabled = state === "closed";
	element("live").textContent = `${element("state").textContent}. ${element("why").textContent}`;
	update();
	changed();
}

const target = () => `${path}?${new URLSearchParams({ message: element("message").value })}`;

function fits() {
	const bytes = bytesIn(element("message").value);
	const url = bytesIn(target());
	const isTooLong = bytes > 1 << 20;
	tellNotice(isTooLong ? "tooLong" : url > 8000 ? "long" : "", number(isTooLong ? bytes : url));
	return !isTooLong;
}

function send() {
	const { value } = element("message");
	const since = now();
	if (!fits())
		return false;
	socket.patience = 4600 + value.length / 50; // a long one takes its time
	if (socket.send(value))
		return sent.push(since);
	tellNotice("unsent");
	return false;
}

async function sendOverHttp() {
	const url = target();
	const since = now();
	let status;
	try {
		const response = await fetch(url, { signal: AbortSignal.timeout(10000) });
		const text = await response.text();
		const trip = now() - since;
		status = response.status;
		if (status === 200)
			receive(byHttp, text, trip, requestBytes(url) + responseBytes(response, text));
	} catch {}
	tellNotice(status === 200 ? "" : "failed", status);
	return status === 200;
}

/* in turn: neither slows the other */
async function compare() {
	const button = element("compare");
	if (button.ariaDisabled === "true")
		return;
	button.ariaDisabled = true;
	socket.connect();
	while (socket.state === "connecting")
		await change();
	if (socket.state !== "open")
		tellNotice("unopened");
	for (let left = 10; left > 0 && socket.state === "open" && send(); left--) {
		while (sent.length)
			await change();
		if (socket.state !== "open" || !await sendOverHttp())
			break;
	}
	button.ariaDisabled = false;
}

element("path").textContent = path;
element("message").oninput = fits;
element("form").onsubmit = (event) => {
	event.preventDefault();
	send();
};
for (const [name, call] of Object.entries({
	connect: () => socket.connect(),
	close: () => socket.close(),
	http: sendOverHttp,
	compare,
	all() {
		element("received").className = "";
		draw();
	},
}))
	element(name).onclick = call;
keepThrough(socket);
