// node --import ./loopback.mjs SERVER: one that would listen everywhere takes a free port of loopback instead, and says which.
import net from "node:net";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...given) {
  this.once("listening", () => console.log(`listening on http://127.0.0.1:${this.address().port}/mcp`));
  return listen.call(this, 0, "127.0.0.1", ...given.filter((argument) => typeof argument === "function"));
};
