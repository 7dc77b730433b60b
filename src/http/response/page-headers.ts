import type { RequestHandler } from 'express';
import helmet from 'helmet';

/**
 * The security headers of pages for people: what they consist of comes from the proxy itself, they send nothing elsewhere,
 * and nobody may frame them. No HSTS: whoever ends TLS before the proxy knows whether there is any.
 *
 * @param styles whether there are any in the page itself, or only in files.
 */
export function pageHeaders(styles: 'in the page' | 'in files'): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: styles === 'in files' ? ["'self'"] : ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    strictTransportSecurity: false,
    xFrameOptions: { action: 'deny' },
  });
}
