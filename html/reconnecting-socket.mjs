/* The same class for those who import it: reconnecting-socket.js is the one source. SPDX-License-Identifier: ISC */
import "./reconnecting-socket.js";
export default globalThis.ReconnectingSocket;
