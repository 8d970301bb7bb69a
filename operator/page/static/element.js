/** Elements. Whatever the operator tells becomes text or the value of a harmless attribute, never markup. */

const SVG = 'http://www.w3.org/2000/svg'

/** `attributes`: undefined ones are left out. Children: elements and texts. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children)
}

export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children)
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined) made.setAttribute(name, String(value))
  made.append(...children.filter((child) => child !== undefined))
  return made
}
