import { parser } from '@prometheus-io/lezer-promql';

/** A vector selector: a metric and its label matchers. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

export interface Expression {
  readonly selectors: readonly Selector[];
  /** Labels in `by`, `on` and similar clauses. */
  readonly grouping: readonly string[];
}

type Node = ReturnType<typeof parser.parse>['topNode'];

/**
 * Parses a PromQL expression.
 *
 * @throws SyntaxError
 */
export function parsePromQl(text: string): Expression {
  const selectors: Selector[] = [];
  const grouping: string[] = [];
  const textOf = ({ from, to }: Node) => text.slice(from, to);
  parser.parse(text).iterate({
    enter: ({ type, node, from }) => {
      if (type.isError) throw new SyntaxError(`not PromQL from "${text.slice(from)}" on: ${text}`);
      if (type.name === 'GroupingLabels') grouping.push(...node.getChildren('LabelName').map(textOf));
      if (type.name !== 'VectorSelector') return;
      const metric = node.getChild('Identifier');
      if (metric === null) throw new SyntaxError(`a selector without a metric: ${text}`);
      const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
      selectors.push({ metric: textOf(metric), matchers: matchers.map((matcher) => matcherOf(matcher, textOf)) });
    },
  });
  return { selectors, grouping };
}

function matcherOf(matcher: Node, textOf: (node: Node) => string): Selector['matchers'][number] {
  const [label, operator, value] = ['LabelName', 'MatchOp', 'StringLiteral'].map((name) => {
    const child = matcher.getChild(name);
    if (child === null) throw new SyntaxError(`a matcher without ${name}: ${textOf(matcher)}`);
    return textOf(child);
  });
  return { label, operator, value: value.slice(1, -1) };
}
