/*
 * What openapi-lint.ts uses of the two linters: by their own types, spectral does not accept its rulesets.
 */

declare module '@stoplight/spectral-core' {
  interface Finding {
    readonly code: string | number;
    readonly path: readonly (string | number)[];
    readonly message: string;
  }
  const spectralCore: {
    readonly Spectral: new () => {
      setRuleset(ruleset: { readonly extends: readonly object[] }): void;
      run(document: object): Promise<readonly Finding[]>;
    };
  };
  export default spectralCore;
}

declare module '@stoplight/spectral-rulesets' {
  const spectralRulesets: { readonly oas: object };
  export default spectralRulesets;
}

declare module '@redocly/openapi-core' {
  interface Config {
    readonly rules: object;
  }
  interface Finding {
    readonly ruleId: string;
    readonly location: readonly { readonly pointer?: string }[];
    readonly message: string;
  }
  export function createConfig(config: { readonly extends: readonly string[] }): Promise<Config>;
  export function lintFromString(options: {
    readonly source: string;
    readonly absoluteRef: string;
    readonly config: Config;
  }): Promise<readonly Finding[]>;
}
