/** Names and other metadata: what is allowed in them. Source: Kubernetes docs, object names and IDs; labels. */
import { listAt, metadataOf, objectAt, textAt, type KubeObject } from '../object.ts'
import type { ResourceType } from '../resources/resource-type.ts'
import { invalidValue, required, type FieldProblem } from '../status-error.ts'

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const QUALIFIED = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/

const MAX_SUBDOMAIN_CHARACTERS = 253
const MAX_LABEL_CHARACTERS = 63

const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const LABEL_1035_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
const QUALIFIED_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
const LABEL_VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

type NameRule = (name: string) => readonly string[]

const rule =
  (pattern: RegExp, text: string, maxCharacters: number): NameRule =>
  (name) => [
    ...(name.length > maxCharacters ? [`must be no more than ${maxCharacters} bytes`] : []),
    ...(pattern.test(name) ? [] : [text]),
  ]

const subdomain = rule(SUBDOMAIN, SUBDOMAIN_TEXT, MAX_SUBDOMAIN_CHARACTERS)
const label = rule(LABEL, LABEL_TEXT, MAX_LABEL_CHARACTERS)
const label1035 = rule(LABEL_1035, LABEL_1035_TEXT, MAX_LABEL_CHARACTERS)
/** RBAC's: anything that can be part of a path. */
const pathSegment: NameRule = (name) => [
  ...(name === '.' || name === '..' ? [`may not be '${name}'`] : []),
  ...['/', '%'].filter((character) => name.includes(character)).map((character) => `may not contain '${character}'`),
]

function nameRule(type: ResourceType): NameRule {
  if (type.group === 'rbac.authorization.k8s.io') return pathSegment
  if (type.group === '' && type.resource === 'namespaces') return label
  if (type.group === '' && type.resource === 'services') return label1035
  if (type.group === 'apps' && type.resource === 'statefulsets') return label
  return subdomain
}

/** Of names, labels, annotations, owners and finalizers. */
export function validateMetadata(object: KubeObject, type: ResourceType): readonly FieldProblem[] {
  const metadata = metadataOf(object)
  const name = textAt(metadata, 'name')
  const problems: FieldProblem[] = []
  if (name === '') problems.push(required('metadata.name', 'name or generateName is required'))
  else problems.push(...nameRule(type)(name).map((why) => invalidValue('metadata.name', name, why)))
  problems.push(
    ...validateLabels(objectAt(metadata, 'labels')),
    ...validateAnnotations(objectAt(metadata, 'annotations')),
  )
  listAt(metadata, 'ownerReferences').forEach((owner, index) => {
    const path = `metadata.ownerReferences[${index}]`
    for (const field of ['apiVersion', 'kind', 'name', 'uid']) {
      if (textAt(owner, field) === '') problems.push(invalidValue(`${path}.${field}`, '', 'must not be empty'))
    }
  })
  listAt(metadata, 'finalizers').forEach((finalizer, index) => {
    if (typeof finalizer === 'string' && !QUALIFIED.test(finalizer)) {
      problems.push(invalidValue(`metadata.finalizers[${index}]`, finalizer, QUALIFIED_TEXT))
    }
  })
  return problems
}

function validateLabels(labels: Readonly<Record<string, unknown>>): readonly FieldProblem[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...(QUALIFIED.test(key) ? [] : [invalidValue('metadata.labels', key, QUALIFIED_TEXT)]),
    ...(typeof value === 'string' && value.length > MAX_LABEL_CHARACTERS
      ? [invalidValue('metadata.labels', value, `must be no more than ${MAX_LABEL_CHARACTERS} bytes`)]
      : []),
    ...(typeof value === 'string' && !LABEL_VALUE.test(value)
      ? [invalidValue('metadata.labels', value, LABEL_VALUE_TEXT)]
      : []),
  ])
}

function validateAnnotations(annotations: Readonly<Record<string, unknown>>): readonly FieldProblem[] {
  return Object.keys(annotations)
    .filter((key) => !QUALIFIED.test(key.toLowerCase()))
    .map((key) => invalidValue('metadata.annotations', key, QUALIFIED_TEXT))
}
