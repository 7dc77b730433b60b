import { createConfig, lintFromString } from '@redocly/openapi-core';
import spectralCore from '@stoplight/spectral-core';
import spectralRulesets from '@stoplight/spectral-rulesets';

/** Finds what spectral and redocly, with the rules that they recommend, say of an OpenAPI document; warnings as well. */
export async function lintOpenApi(document: object): Promise<string[]> {
  const spectral = new spectralCore.Spectral();
  spectral.setRuleset({ extends: [spectralRulesets.oas] });
  const found = await spectral.run(structuredClone(document));
  const problems = await lintFromString({
    source: JSON.stringify(document),
    absoluteRef: '/openapi.json',
    config: await createConfig({ extends: ['recommended'] }),
  });
  return [
    ...found.map(({ code, path, message }) => `spectral ${code} at ${path.join('.')}: ${message}`),
    ...problems.map(
      ({ ruleId, location, message }) =>
        `redocly ${ruleId} at ${location.map(({ pointer }) => pointer).join()}: ${message}`,
    ),
  ];
}
