/** The part of kubectl's JSONPath that printer columns use: `.a.b`, `['a']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`. */
import { isObject, type Json } from '../object.ts'

type Step =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'filter'; readonly path: readonly string[]; readonly isEqual: boolean; readonly value: string }

const TOKEN =
  /\.([A-Za-z0-9_\-/]+(?:\\\.[A-Za-z0-9_\-/]+)*)|\['([^']*)'\]|\["([^"]*)"\]|\[(-?\d+)\]|\[\*\]|\.\*|\[\?\(@\.([\w.\-/]+)\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)'|([\w.-]+))\s*\)\]/gy

/** Undefined when it is more than is known here. */
function parse(text: string): readonly Step[] | undefined {
  const path = text.startsWith('.') || text.startsWith('[') ? text : `.${text}`
  const steps: Step[] = []
  TOKEN.lastIndex = 0
  let end = 0
  for (let match = TOKEN.exec(path); match !== null; match = TOKEN.exec(path)) {
    end = TOKEN.lastIndex
    steps.push(stepOf(match))
    if (end === path.length) break
  }
  return end === path.length ? steps : undefined
}

function stepOf(match: RegExpExecArray): Step {
  const [, dotted, single, double, index, filterPath, operator, ...values] = match
  const name = dotted?.replaceAll('\\.', '.') ?? single ?? double
  if (name !== undefined) return { kind: 'name', name }
  if (index !== undefined) return { kind: 'index', index: Number(index) }
  if (filterPath === undefined) return { kind: 'all' }
  const value = values.find((each) => each !== undefined) ?? ''
  return { kind: 'filter', path: filterPath.split('.'), isEqual: operator === '==', value }
}

/** Everything that the path names. */
export function evaluate(text: string, root: Json): readonly Json[] {
  const steps = parse(text)
  if (steps === undefined) return []
  return steps.reduce<readonly Json[]>((found, step) => found.flatMap((value) => follow(value, step)), [root])
}

function follow(value: Json, step: Step): readonly Json[] {
  switch (step.kind) {
    case 'name': {
      const inner = isObject(value) && Object.hasOwn(value, step.name) ? value[step.name] : undefined
      return inner === undefined ? [] : [inner]
    }
    case 'index': {
      const item = Array.isArray(value) ? value.at(step.index) : undefined
      return item === undefined ? [] : [item]
    }
    case 'all':
      return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []
    case 'filter':
      return Array.isArray(value) ? value.filter((item) => passes(item, step)) : []
    default:
      return step satisfies never
  }
}

function passes(item: Json, step: Extract<Step, { readonly kind: 'filter' }>): boolean {
  let found: Json | undefined = item
  for (const name of step.path) found = isObject(found) ? found[name] : undefined
  const text = typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean' ? String(found) : ''
  return (text === step.value) === step.isEqual
}
