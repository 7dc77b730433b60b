/** Returns the element with this id. @throws if the page has none of this type. */
export function element<T extends HTMLElement>(id: string, type: abstract new (...parameters: never) => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

/** Sets the text of an element if it differs: setting it makes screen readers read a live region again. */
export function setText(id: string, text: string): void {
  const target = element(id, HTMLElement);
  if (target.textContent !== text) target.textContent = text;
}
