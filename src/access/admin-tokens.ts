import { BearerTokens } from './bearer-tokens.ts';

/** The tokens of the admin API. */
export class AdminTokens extends BearerTokens {}
