import type { RequestHandler } from 'express';
import helmet from 'helmet';

/**
 * The security headers of pages for people: what they consist of comes from the proxy itself, they send nothing elsewhere,
 * and nobody may frame them. No HSTS: whoever ends TLS before the proxy knows whether there is any.
 */
export function pageHeaders(): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        // Swagger UI has styles in its page, and pictures in its styles.
        styleSrc: ["'self'", "'unsafe-inline'"],
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
