/** Label and field selectors of lists, watches and deletecollection. Source: Kubernetes docs, labels; field selectors. */
import { at, isObject, objectAt, textAt, type Json, type JsonObject, type KubeObject } from './object.ts'
import { badRequest } from './status-error.ts'

export type Predicate = (object: KubeObject) => boolean

interface Requirement {
  readonly key: string
  readonly operator: 'in' | 'notin' | 'exists' | '!'
  readonly values: readonly string[]
}

const everything: Predicate = () => true

const LABEL_KEY = /^([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?\/)?[a-zA-Z0-9]([-a-zA-Z0-9_.]{0,61}[a-zA-Z0-9])?$/

/** Throws a bad request for what is no selector. */
export function parseLabelSelector(text: string): Predicate {
  if (text.trim() === '') return everything
  const requirements = splitOutsideParentheses(text).map(parseRequirement)
  return (object) => matchesAll(requirements, objectAt(object, 'metadata', 'labels'))
}

function splitOutsideParentheses(text: string): readonly string[] {
  const parts: string[] = []
  let depth = 0
  let part = ''
  for (const character of text) {
    if (character === '(') depth++
    if (character === ')') depth--
    if (character === ',' && depth === 0) {
      parts.push(part)
      part = ''
    } else part += character
  }
  return [...parts, part].map((piece) => piece.trim())
}

function parseRequirement(text: string): Requirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text)
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim())
    return requirement(text, set[1], set[2] === 'in' ? 'in' : 'notin', values)
  }
  const equality = /^([^\s=!]+)\s*(==|=|!=)\s*([^\s=!]*)$/.exec(text)
  if (equality !== null) {
    return requirement(text, equality[1], equality[2] === '!=' ? 'notin' : 'in', [equality[3] ?? ''])
  }
  const exists = /^(!?)\s*([^\s=!()]+)$/.exec(text)
  if (exists !== null) return requirement(text, exists[2], exists[1] === '!' ? '!' : 'exists', [])
  throw badRequest(`unable to parse requirement: ${JSON.stringify(text)} is not a label requirement`)
}

function requirement(
  text: string,
  key: string | undefined,
  operator: Requirement['operator'],
  values: readonly string[],
): Requirement {
  if (key === undefined || !LABEL_KEY.test(key))
    throw badRequest(`unable to parse requirement: ${JSON.stringify(text)}`)
  return { key, operator, values }
}

function matchesAll(requirements: readonly Requirement[], labels: JsonObject): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = labels[key]
    switch (operator) {
      case 'in':
        return typeof value === 'string' && values.includes(value)
      case 'notin':
        return typeof value !== 'string' || !values.includes(value)
      case 'exists':
        return value !== undefined
      case '!':
        return value === undefined
      default:
        return operator satisfies never
    }
  })
}

/** Of a LabelSelector in an object (`spec.selector`): undefined matches nothing, an empty one everything. */
export function matchesLabelSelector(selector: Json | undefined, labels: JsonObject): boolean {
  if (!isObject(selector)) return false
  const equal = Object.entries(objectAt(selector, 'matchLabels')).every(([key, value]) => labels[key] === value)
  const expressions = at(selector, 'matchExpressions')
  const requirements = (Array.isArray(expressions) ? expressions : [])
    .filter(isObject)
    .map((expression): Requirement => {
      const values = at(expression, 'values')
      const operators: Record<string, Requirement['operator']> = { In: 'in', NotIn: 'notin', Exists: 'exists' }
      return {
        key: textAt(expression, 'key'),
        operator: operators[textAt(expression, 'operator')] ?? '!',
        values: Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [],
      }
    })
  return equal && matchesAll(requirements, labels)
}

/** Fields that a type may be selected by, beside its name and namespace. */
const SELECTABLE: Readonly<Record<string, readonly string[]>> = {
  '/pods': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  '/events': [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  '/secrets': ['type'],
  '/services': ['spec.clusterIP', 'spec.type'],
  '/namespaces': ['status.phase'],
  '/nodes': ['spec.unschedulable'],
  'apps/replicasets': ['status.replicas'],
}

interface FieldRequirement {
  readonly path: string
  readonly isEqual: boolean
  readonly value: string
}

export interface FieldSelectorScope {
  readonly group: string
  readonly resource: string
  /** Further fields, of a custom resource. */
  readonly selectableFields?: readonly string[]
}

/** Throws a bad request for a field that the type cannot be selected by. */
export function parseFieldSelector(text: string, scope: FieldSelectorScope): Predicate {
  if (text.trim() === '') return everything
  const group = scope.group === 'events.k8s.io' ? '' : scope.group
  const known = new Set([
    'metadata.name',
    'metadata.namespace',
    ...(SELECTABLE[`${group}/${scope.resource}`] ?? []),
    ...(scope.selectableFields ?? []),
  ])
  const requirements = text.split(',').map((part) => {
    const match = /^([^=!]+)(==|=|!=)(.*)$/.exec(part.trim())
    if (match === null) throw badRequest(`invalid field selector: ${JSON.stringify(part)}; can't understand it`)
    const [, name = '', operator, value = ''] = match
    const path = scope.group === group ? name : name.replace(/^regarding\./, 'involvedObject.')
    if (!known.has(path)) throw badRequest(`field label not supported: ${path}`)
    return { path, isEqual: operator !== '!=', value }
  })
  return (object) => requirements.every((wanted) => holds(wanted, object))
}

function holds({ path, isEqual, value }: FieldRequirement, object: KubeObject): boolean {
  const found = at(object, ...path.split('.'))
  const text =
    typeof found === 'string' ? found : typeof found === 'boolean' || typeof found === 'number' ? `${found}` : ''
  const isDefault = path === 'spec.unschedulable' || path === 'spec.hostNetwork'
  return ((text === '' && isDefault ? 'false' : text) === value) === isEqual
}
