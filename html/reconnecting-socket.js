/*
 * A WebSocket that comes back when it was lost. It stands alone: take it.
 *
 *	const socket = new ReconnectingSocket("wss://example.org/echo", {
 *		onmessage: (data) => console.log(data),
 *		onstate: (state, detail) => console.log(state, detail),
 *	});
 *	socket.connect();     // at once, even while it waits
 *	socket.send("hello"); // false if it is not open: nothing is queued
 *	socket.close();       // ends the connection, or the waiting
 *
 * The states, and the detail of each:
 *	connecting  {attempt}                      from 1
 *	open        {}
 *	waiting     {delay, opened, code, reason}  ms until the next attempt
 *	closed      {opened, code, reason}         by the server; {} by close()
 *
 * What was lost, or never opened, is tried again, at socket.url; what the server ended in order (1000,
 * or 1005: no code) is not. The delays grow by factor from first to longest, each less a random part,
 * at most half, lest all clients return at once; they begin anew after a connection that lasted for
 * steady.
 */
class ReconnectingSocket {
	/* the options, in ms but for the factor */
	first = 1000;
	longest = 30000;
	steady = 5000;
	factor = 2;
	onstate = () => {};
	onmessage = () => {};
	open = (url) => new WebSocket(url);
	now = () => performance.now();
	random = () => Math.random();
	setTimeout = (call, delay) => setTimeout(call, delay);
	clearTimeout = (timer) => clearTimeout(timer);

	state = "closed";
	#socket = null;
	#failures = 0;
	#since;
	#timer;

	constructor(url, options) {
		Object.assign(this, options, { url });
	}

	connect() {
		if (this.#socket)
			return;
		this.clearTimeout(this.#timer);
		const socket = this.#socket = this.open(this.url);
		socket.onopen = () => this.#change("open", {});
		socket.onmessage = (event) => this.onmessage(event.data);
		socket.onclose = (event) => this.#ended(event);
		this.#change("connecting", { attempt: this.#failures + 1 });
	}

	send(data) {
		const open = this.#socket?.readyState === 1;
		if (open)
			this.#socket.send(data);
		return open;
	}

	/* over for the caller at once: the server may take its time to answer */
	close() {
		const socket = this.#socket;
		this.clearTimeout(this.#timer);
		this.#socket = null;
		if (socket) {
			socket.onopen = socket.onmessage = socket.onclose = null;
			socket.close(1000);
		}
		if (this.state !== "closed")
			this.#change("closed", {});
	}

	#ended({ code, reason }) {
		const opened = this.state === "open";
		this.#socket = null;
		if (opened && this.now() - this.#since >= this.steady)
			this.#failures = 0;
		if (code === 1000 || code === 1005)
			this.#change("closed", { opened, code, reason });
		else
			this.#wait({ opened, code, reason });
	}

	#wait(detail) {
		const most = Math.min(this.longest, this.first * this.factor ** this.#failures++);
		const delay = most * (1 - this.random() / 2);
		this.#timer = this.setTimeout(() => this.connect(), delay);
		this.#change("waiting", { delay, ...detail });
	}

	#change(state, detail) {
		this.#since = this.now();
		if (state === "closed")
			this.#failures = 0;
		this.state = state;
		this.onstate(state, detail);
	}
}
