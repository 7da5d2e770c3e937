type Child = Node | string | null | undefined | false;
type Properties = Readonly<Record<string, string | number | boolean | ((event: Event) => unknown) | undefined>>;

/**
 * An element. Properties that are functions listen to the event of that name;
 * the others are attributes, `true` an empty one, `false` none. Text is only
 * ever text.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

/** Replaces the children of an element. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...children.filter((child): child is Node | string => Boolean(child)));
}
