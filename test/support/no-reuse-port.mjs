/** Preloaded (`node --import`) into a proxy under test: a platform that has no SO_REUSEPORT, as macOS and Windows. */
import { Server } from 'node:net';

const { listen } = Server.prototype;

Server.prototype.listen = function (options, ...rest) {
  if (options?.reusePort !== true) return listen.call(this, options, ...rest);
  const error = Object.assign(new Error('listen ENOTSUP: operation not supported on socket'), {
    code: 'ENOTSUP',
    syscall: 'listen',
  });
  process.nextTick(() => this.emit('error', error));
  return this;
};
