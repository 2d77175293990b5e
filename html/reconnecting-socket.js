/*
 * A WebSocket that comes back when it was lost, and notices when it was. It depends on nothing: copy it.
 * SPDX-License-Identifier: ISC. Copyright (c) 2026 the duplex authors.
 *
 *	const socket = new ReconnectingSocket("wss://example.org/echo", {
 *		onmessage: (data) => console.log(data),
 *		onstate: (state, detail) => console.log(state, detail),
 *	});
 *	socket.connect();     // at once, even while it waits
 *	socket.send("hello"); // true, or false if it is not open: NOTHING IS QUEUED
 *	socket.reconnect();   // drops the connection, dead or alive, and connects at once
 *	socket.close();       // ends the connection, or the waiting
 *	socket.socket         // the WebSocket of now, or undefined: protocol, bufferedAmount
 *
 * The states, and the detail of each; attempt counts from 1 and begins anew after a steady connection:
 *	connecting  {attempt}
 *	open        {attempt}
 *	waiting     {attempt, opened, code, reason, delay}  delay: ms until the next attempt
 *	closed      {attempt, opened, code, reason}         by the server, or given up; {attempt} by close()
 * What this client gives up by itself has code 1006, and a reason that says why.
 */
class ReconnectingSocket {
	/* The options; times are in ms. url, the first argument, and protocols may be functions, also
	 * async ones, that are called for each attempt; one that fails is an attempt that failed. */
	protocols = [];
	binaryType = "blob";
	onstate = () => {};
	onmessage = () => {};

	/* The delay before the next attempt: from first to longest by factor, less a random part of up
	 * to half, so that not all clients return at once. After a connection of steady ms it is first. */
	first = 1000;
	longest = 30000;
	factor = 2;
	steady = 5000;

	/* Whether to try again, asked with the detail of what was lost. To give up after five attempts:
	 * ({ attempt }) => attempt < 5. By default what the server ended on purpose stays closed (1000,
	 * or 1005: no code). */
	again = ({ code }) => code !== 1000 && code !== 1005;

	/* How long connecting may take. */
	timeout = 4000;

	/* The watchdog, for an endpoint that answers something: after so much silence, and when the network
	 * or the page comes back, probe is sent (a value, or a function that returns one). If then nothing
	 * arrives for patience ms, the connection is dead. */
	probe = undefined;
	silence = 25000;
	patience = 5000;

	/* for tests, and for systems without these globals */
	open = (url, protocols) => new WebSocket(url, protocols);
	now = () => performance.now();
	random = () => Math.random();
	setTimeout = (call, delay) => setTimeout(call, delay);
	clearTimeout = (timer) => clearTimeout(timer);

	#state = "closed";
	#line = null; // what is connecting or open: an object of its own for each attempt
	#failures = 0;
	#since; // this state began
	#heard; // when something arrived, or null while a probe is unanswered
	#timer; // the one thing that is waited for in this state

	constructor(url, options = {}) {
		for (const name of Object.keys(options))
			if (!Object.hasOwn(this, name))
				throw new TypeError(`ReconnectingSocket has no option "${name}"`);
		Object.assign(this, options, { url });
	}

	get state() {
		return this.#state;
	}

	get socket() {
		return this.#line?.socket;
	}

	connect() {
		if (this.#line)
			return;
		this.clearTimeout(this.#timer);
		this.#listen("addEventListener");
		const line = this.#line = {};
		this.#timer = this.setTimeout(() => this.#ended("not open in time"), this.timeout);
		this.#change("connecting", {});
		this.#begin(line);
	}

	send(data) {
		const open = this.socket?.readyState === 1;
		if (open)
			this.socket.send(data);
		return open;
	}

	reconnect() {
		this.#drop();
		this.connect();
	}

	/* Over for the caller at once: the server may take its time to answer. */
	close(code = 1000, reason = "") {
		this.#drop(code, reason);
		if (this.#state !== "closed")
			this.#change("closed", {});
	}

	async #begin(line) {
		try {
			let [url, protocols] = [this.url, this.protocols].map((value) => value?.call ? value() : value);
			if (url?.then || protocols?.then)
				[url, protocols] = await Promise.all([url, protocols]);
			if (line === this.#line)
				this.#take(line, this.open(url, protocols ?? []));
		} catch (error) {
			if (line === this.#line)
				this.#ended(String(error));
		}
	}

	#take(line, socket) {
		line.socket = socket;
		socket.binaryType = this.binaryType;
		socket.onopen = () => this.#opened();
		socket.onmessage = ({ data }) => {
			this.#heard = this.now();
			this.onmessage(data);
		};
		socket.onclose = ({ code, reason }) => this.#ended(reason, code);
		socket.onerror = () => {}; // a close follows
	}

	#opened() {
		this.#heard = this.now();
		this.#watch();
		this.#change("open", {});
	}

	#watch() {
		const left = this.#heard + this.silence - this.now();
		this.clearTimeout(this.#timer);
		if (this.probe === undefined)
			return;
		if (left > 0)
			this.#timer = this.setTimeout(() => this.#watch(), left);
		else
			this.#ask();
	}

	#ask() {
		if (this.probe === undefined || this.#heard === null)
			return;
		this.clearTimeout(this.#timer);
		this.#heard = null;
		this.#timer = this.setTimeout(() => this.#heard === null ? this.#ended("silent") : this.#watch(), this.patience);
		this.send(this.probe?.call ? this.probe() : this.probe);
	}

	/* The network is back, or the page is looked at: what was begun without it may never end. */
	#wake = ({ type, target }) => {
		if (target.hidden)
			return;
		if (type === "online")
			this.#failures = 0;
		if (this.#state === "open")
			this.#ask();
		else if (this.#state === "waiting" || type === "online")
			this.reconnect();
	};

	#listen(method) {
		globalThis[method]?.("online", this.#wake);
		globalThis.document?.[method]("visibilitychange", this.#wake);
	}

	#drop(code, reason) {
		const socket = this.socket;
		if (this.#state === "open" && this.now() - this.#since >= this.steady)
			this.#failures = 0;
		this.clearTimeout(this.#timer);
		this.#line = null;
		if (socket) {
			socket.onopen = socket.onmessage = socket.onclose = null;
			socket.close(code, reason);
		}
	}

	#ended(reason, code = 1006) {
		const opened = this.#state === "open";
		this.#drop();
		const detail = { attempt: this.#failures + 1, opened, code, reason };
		if (!this.again(detail))
			return this.#change("closed", detail);
		const most = Math.min(this.longest, this.first * this.factor ** this.#failures++);
		const delay = most * (1 - this.random() / 2);
		this.#timer = this.setTimeout(() => this.connect(), delay);
		this.#change("waiting", { ...detail, delay });
	}

	#change(state, detail) {
		const attempt = this.#failures + 1;
		this.#since = this.now();
		this.#state = state;
		if (state === "closed") {
			this.#failures = 0;
			this.#listen("removeEventListener");
		}
		this.onstate(state, { attempt, ...detail });
	}
}

globalThis.ReconnectingSocket = ReconnectingSocket;
