declare module 'negotiator' {
  export default class Negotiator {
    constructor(request: { readonly headers: Readonly<Record<string, string | undefined>> });

    /**
     * Returns those of the available codings that the Accept-Encoding header accepts, the best one first.
     *
     * @param options `preferred`: the order of codings that the client accepts equally.
     */
    encodings(available: readonly string[], options: { readonly preferred: readonly string[] }): string[];
  }
}
