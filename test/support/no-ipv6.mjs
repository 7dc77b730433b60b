/** Preloaded (`node --import`) into a proxy under test: a machine whose kernel has no IPv6 (ipv6.disable=1). */
import { isIPv6, Server } from 'node:net';

const { listen } = Server.prototype;

Server.prototype.listen = function (options, ...rest) {
  const { host, port } = options ?? {};
  if (host === undefined || !isIPv6(host)) return listen.call(this, options, ...rest);
  const error = Object.assign(new Error(`listen EAFNOSUPPORT: address family not supported ${host}:${port}`), {
    code: 'EAFNOSUPPORT',
    syscall: 'listen',
  });
  process.nextTick(() => this.emit('error', error));
  return this;
};
