"use strict";

/* Page and endpoint share one URL; at the root the form tells the endpoint's. */
const form = element("form");
const isRoot = location.pathname === new URL(".", form.action).pathname;
const path = isRoot ? new URL(form.action).pathname : location.pathname;
/* of messages, and of characters of each */
const limit = 300;
const longest = 1 << 20;
const now = () => performance.now();

/* No figure is more exact than the browser's clock: its least step in ms. */
let step = 100;
for (let looks = 0, last = now(); looks < 1e5; looks++) {
	const time = now();
	step = time > last ? Math.min(step, time - last) : step;
	last = time;
}
step = Math.max(Math.round(step * 10) / 10, 0.1);
const milliseconds = (value) => (value < step ? `< ${step}` : value.toFixed(value < 10 && step < 1 ? 1 : 0)) + " ms";

const tallies = ["WebSocket", "HTTP"].map((way) => ({ way, count: 0, bytes: 0, totals: [0], trips: [] }));
const [byWebSocket, byHttp] = tallies;
const addBytes = ({ totals }, bytes) => totals.push(totals.pop() + bytes);
let arrived = [];

function receive(tally, text, trip, bytes) {
	tally.count++;
	tally.bytes += bytes;
	tally.totals.push(tally.totals.at(-1) + bytes);
	tally.trips = [...tally.trips, trip].slice(-limit);
	arrived = [newItem(tally.way, text, trip), ...arrived].slice(0, limit);
	announce();
	update();
}

function newItem(way, text, trip) {
	const item = newElement("li", "");
	const time = newElement("time", new Date().toTimeString().slice(0, 8));
	const rest = text.length > limit ? words[language].length(number(text.length)) : "";
	item.className = way;
	item.append(time, newElement("b", way), newElement("i", milliseconds(trip)), newElement("bdi", text.slice(0, limit)), rest);
	return item;
}

function draw() {
	const list = element("received");
	list.prepend(...arrived);
	arrived = [];
	while (list.childElementCount > limit)
		list.lastChild.remove();
	tell(element("all"), "all", list.childElementCount);
	element("all").hidden = !list.className || list.childElementCount <= 10;
	tallies.forEach(drawFigures);
	drawResult();
	drawPlot();
}

function drawFigures({ way, count, bytes, totals, trips }, column) {
	const [each, trip] = document.querySelectorAll(`.${way} .figure b`);
	const middle = [...trips].sort((a, b) => a - b)[trips.length >> 1];
	each.textContent = count ? number(bytes / count) : "–";
	trip.textContent = count ? milliseconds(middle) : "–";
	[count, totals.at(-1)].forEach((value, row) => element("figures").rows[row + 1].cells[column + 1].textContent = number(value));
}

/* What the first messages of both ways took, as many as there are of each. */
function drawResult() {
	const count = Math.min(byWebSocket.count, byHttp.count);
	const [less, more] = tallies.map(({ way, totals }) => [totals[count], way]).sort(([a], [b]) => a - b);
	if (count)
		tell(element("result"), "result", [number(count), more[1], (more[0] / less[0]).toFixed(1), less[1]].join(" "));
	else if (byWebSocket.count || byHttp.count)
		tell(element("result"), "one");
}

/* The larger total is at the top; the name of the other keeps clear of it. */
function drawPlot() {
	const lines = tallies.filter(({ count }) => count).sort((a, b) => b.totals.at(-1) - a.totals.at(-1));
	const right = Math.max(byWebSocket.count, byHttp.count);
	const height = (total) => 100 - total / lines[0].totals.at(-1) * 100;
	element("lines").hidden = lines.length;
	element("plot").replaceChildren(...lines.map(({ way, totals }) => {
		const every = Math.ceil(totals.length / limit);
		const points = totals.map((total, index) => [index / right * 100, height(total)]);
		const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
		line.setAttribute("class", way);
		line.setAttribute("points", points.filter((_, index) => index % every === 0 || index === totals.length - 1).join(" "));
		return line;
	}));
	element("names").replaceChildren(...lines.map(({ way, count, totals }, index) => {
		const name = newElement("b", `${way} ${number(totals.at(-1))}`);
		name.className = way;
		name.style.left = `${count / right * 100}%`;
		name.style.top = `${Math.max(height(totals.at(-1)), index * 18)}%`;
		return name;
	}));
}

/* what is not answered yet, oldest first: {since, patience}, and isProbe if the page asks for itself */
let sent = [];
let heard = 0;
let changed = () => {};
const change = () => new Promise((done) => changed = done);

const socket = new ReconnectingSocket(location.origin.replace("http", "ws") + path, {
	onstate: showState,
	onmessage(text) {
		const length = bytesIn(text);
		const bytes = frameBytes(length, true) + frameBytes(length, false);
		const { since = now(), isProbe } = sent.shift() ?? {};
		heard = now();
		if (isProbe)
			addBytes(byWebSocket, bytes);
		else
			receive(byWebSocket, text, heard - since, bytes);
		changed();
	},
	probe() {
		sent.push({ since: now(), patience: 9500, isProbe: true });
		return "";
	},
});

const tellNotice = (key, value) => tell(element("notice"), key, value);
const isTold = (key) => element("notice").dataset.word?.startsWith(key);

function tellLost() {
	const lost = sent.filter(({ isProbe }) => !isProbe).length;
	sent = [];
	if (lost)
		tellNotice("lost", lost);
}

function showState(state, detail) {
	const { attempt, opened = true, code = state === "closed" ? 1000 : "", reason } = detail;
	tellState(state, detail);
	tellLost();
	if (state === "open") {
		addBytes(byWebSocket, handshakeBytes(path));
		if (isTold("un"))
			tellNotice("");
	}
	if (state !== "connecting" || attempt === 1) // until then the reason stays
		tell(element("why"), reason === "silent" ? reason : code && (opened ? "ended" : "refused"), code);
	element("close").ariaDisabled = state === "closed";
	element("live").textContent = `${element("state").textContent}. ${element("why").textContent}`;
	update();
	changed();
}

setInterval(() => {
	if (!sent.length || now() < Math.max(sent[0].since, heard) + sent[0].patience)
		return;
	socket.reconnect();
	tell(element("why"), "silent");
}, 250);

const target = () => `${path}?${new URLSearchParams({ message: element("message").value })}`;

/* Too long a message is said before it is sent. */
function fits() {
	const bytes = bytesIn(element("message").value);
	const url = bytesIn(target());
	if (bytes > longest)
		tellNotice("tooLong", number(bytes));
	else
		tellNotice(url > 8000 ? "long" : "", number(url));
	return bytes <= longest;
}

function send() {
	const { value } = element("message");
	const since = now();
	if (!fits())
		return false;
	if (socket.send(value))
		return sent.push({ since, patience: 9500 + value.length / 50 });
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
	if (status !== 200)
		tellNotice("failed", status);
	else if (!isTold("lost"))
		tellNotice("");
	return status === 200;
}

/* in turn, so that neither way slows the other */
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
		if (!await sendOverHttp())
			break;
	}
	button.ariaDisabled = false;
}

element("path").textContent = path;
element("connect").onclick = () => socket.connect();
element("close").onclick = () => socket.close();
element("http").onclick = sendOverHttp;
element("compare").onclick = compare;
element("message").oninput = fits;
element("all").onclick = () => {
	element("received").className = "";
	draw();
};
form.onsubmit = (event) => {
	event.preventDefault();
	send();
};
keepThrough(socket);
draw();
