/** The element of the page with this id, which has to be of this type. */
export function element<T extends HTMLElement>(id: string, type: abstract new (...parameters: never) => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

/** Sets an element's text, if it is another one: what is set is drawn anew, and read out anew in live regions. */
export function setText(id: string, text: string): void {
  const target = element(id, HTMLElement);
  if (target.textContent !== text) target.textContent = text;
}
