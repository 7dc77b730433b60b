/** A controller like those in the documentation of Nest, which returns values from a Map. */
import 'reflect-metadata';
import { Controller, Get, Module, NotFoundException, Param } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { valuesInMemory } from './values-in-memory.ts';

const values = valuesInMemory();

class KeyController {
  read(key: string): string {
    const value = values.get(key);
    if (value === undefined) throw new NotFoundException();
    return value;
  }
}

// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- it has nothing but its decorator
class ServerModule {}

// Decorators are called explicitly: type stripping does not support decorator syntax.
Param('key')(KeyController.prototype, 'read', 0);
Get(':key')(KeyController.prototype, 'read', { value: Reflect.get(KeyController.prototype, 'read') });
Controller('v1/keys')(KeyController);
Module({ controllers: [KeyController] })(ServerModule);

const application = await NestFactory.create(ServerModule, { logger: false });
await application.listen(Number(process.env.PORT), '127.0.0.1');
