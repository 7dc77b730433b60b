#!/usr/bin/env node
// The command of the package.
import './main.ts';
