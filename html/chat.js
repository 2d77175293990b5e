"use strict";

/* All that the page says, in each of its languages. */
const words = {
	en: {
		language: "中文",
		other: "zh",
		heading: "Chat",
		lead: "What anybody sends, everybody gets; what came while you were away, too.",
		message: "Message",
		send: "Send",
		connect: "Connect now",
		received: "Messages, newest first",
		connecting: "Connecting",
		open: "Connected",
		waiting: (seconds) => `Connection lost: again in ${seconds} s`,
		closed: "Closed",
		unsent: (status) => `Not sent: ${status > 0 ? "status " + status : "no answer"}. Try again.`,
		news: (count) => `${count} new messages`,
		gap: "Some messages may be missing.",
	},
	zh: {
		language: "English",
		other: "en",
		heading: "聊天",
		lead: "每个人发送的消息，所有人都会收到；离开期间的也会补上。",
		message: "消息",
		send: "发送",
		connect: "立即连接",
		received: "消息，最新的在前",
		connecting: "正在连接",
		open: "已连接",
		waiting: (seconds) => `连接中断：${seconds} 秒后重新连接`,
		closed: "已关闭",
		unsent: (status) => `未发送：${status > 0 ? "状态 " + status : "没有回答"}。请重试。`,
		news: (count) => `${count} 条新消息`,
		gap: "可能缺少部分消息。",
	},
};

/* messages that are shown */
const limit = 100;
const element = (id) => document.getElementById(id);
let language;

/* What an element says stays with it, for the other language. */
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

/* As text, never as HTML. */
const newElement = (name, textContent) => Object.assign(document.createElement(name), { textContent });

function newItem({ id, text }) {
	const item = newElement("li", "");
	item.dataset.id = id;
	item.append(newElement("time", new Date(parseInt(id)).toTimeString().slice(0, 8)), newElement("bdi", text));
	return item;
}

/* After a gap all that is kept comes again: each message is shown once, by the time of its id. */
let hadGap = false;

function showGap() {
	hadGap = true;
	tell(element("notice"), "gap");
}

function putInOrder(list) {
	const items = new Map(Array.from(list.children, (item) => [item.dataset.id, item]));
	const order = (item) => item.dataset.id.split("-").map(Number);
	const newestFirst = (a, b) => order(b)[0] - order(a)[0] || order(b)[1] - order(a)[1];
	list.replaceChildren(...[...items.values()].sort(newestFirst));
}

/* Shown once a frame, and spoken once a second, however much arrives. */
let arrived = [];
let frame = 0;
let unheard = 0;

function draw() {
	const list = element("received");
	frame = 0;
	list.prepend(...arrived.map(newItem));
	arrived = [];
	if (hadGap)
		putInOrder(list);
	while (list.childElementCount > limit)
		list.lastChild.remove();
}

function receive(message) {
	arrived = [message, ...arrived].slice(0, limit);
	frame ||= requestAnimationFrame(draw);
	socket.url = urlAfter(message.id);
	if (unheard++ === 0)
		setTimeout(() => {
			element("live").textContent = unheard > 1 ? words[language].news(unheard) : message.text;
			unheard = 0;
		}, 1000);
}

/* the messages after the last one seen, so that none is lost or comes twice */
const urlAfter = (id) => `${location.origin.replace("http", "ws")}${location.pathname}?after=${id}`;
const socket = new ReconnectingSocket(urlAfter(-limit), {
	onstate: showState,
	onmessage: (line) => {
		const message = JSON.parse(line);
		message.gap ? showGap() : receive(message);
	},
});
let ticking;

function showState(state, { delay = 0 }) {
	const box = element("state");
	const end = performance.now() + delay;
	const tick = () => tell(box, state, Math.ceil((end - performance.now()) / 1000));
	clearInterval(ticking);
	if (state === "waiting")
		ticking = setInterval(tick, 250);
	tick();
	box.dataset.state = state;
	element("connect").ariaDisabled = state === "open" || state === "connecting";
	element("live").textContent = box.textContent;
}

/* over HTTP, which tells whether it was taken: until then the text stays */
async function send(event) {
	const [field, button] = [element("message"), element("send")];
	const message = field.value;
	let status;
	event.preventDefault();
	if (button.ariaDisabled === "true")
		return;
	button.ariaDisabled = true;
	try {
		({ status } = await fetch(location.pathname, { method: "POST", body: new URLSearchParams({ message }) }));
	} catch {}
	button.ariaDisabled = false;
	if (status === 202 && field.value === message)
		field.value = "";
	tell(element("notice"), status === 202 ? "" : "unsent", status);
}

element("connect").onclick = () => socket.connect();
element("language").onclick = choose;
document.forms[0].onsubmit = send;
/* A browser may keep a page to go back to, but no connection with it. */
addEventListener("pagehide", () => socket.close());
addEventListener("pageshow", () => socket.connect());
speak(preferredLanguage());
