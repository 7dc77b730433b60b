import type { RequestHandler } from 'express';
import helmet from 'helmet';

/**
 * Sets the security headers of HTML pages: resources and connections only from and to the proxy itself, no framing. No
 * HSTS, which is up to the component that terminates TLS.
 *
 * @param styles whether the page has inline styles.
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
