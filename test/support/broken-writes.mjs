/**
 * Preloaded (`NODE_OPTIONS=--import …`) into a proxy under test: has buffers written to accepted sockets throw or get lost
 * (BROKEN_WRITES=throw, drop), as they would if an internal part of Node.js were not what the proxy takes it for. What
 * node:http writes as text or in several pieces arrives.
 */
import { Server } from 'node:net';
import process from 'node:process';

const { emit } = Server.prototype;

const WAYS = {
  throw: () => {
    throw new TypeError('injected by the test');
  },
  drop: () => 0,
};

Server.prototype.emit = function (event, socket, ...rest) {
  if (event === 'connection') {
    // In the place of its class: code that replaces a method of the handle itself replaces this one.
    const { _handle: handle } = socket;
    const type = Object.create(Object.getPrototypeOf(handle), {
      writeBuffer: { value: WAYS[process.env.BROKEN_WRITES], writable: true },
    });
    Object.setPrototypeOf(handle, type);
  }
  return emit.call(this, event, socket, ...rest);
};
