/** Who may do what, by Roles and their bindings. Source: Kubernetes docs, using RBAC authorization. */
import { at, listAt, textAt, type Json, type KubeObject } from '../object.ts'
import { endOfPrefix, type ObjectStore } from '../storage.ts'
import type { User } from './call.ts'

export interface Attributes {
  readonly user: User
  readonly verb: string
  readonly group: string
  readonly resource: string
  /** Empty: none. */
  readonly subresource: string
  readonly namespace: string
  readonly name: string
  /** Of what is no resource; undefined otherwise. */
  readonly path: string | undefined
}

export type Authorize = (attributes: Attributes) => boolean

const PREFIX = '/registry/rbac.authorization.k8s.io/'
const ADMINISTRATORS = 'system:masters'
/** Everyone who is known may find out what there is. */
const DISCOVERY = /^\/(api|apis|openapi|healthz|livez|readyz|version)(\/|$)/

export function rbacAuthorizer(store: ObjectStore): Authorize {
  const all = (resource: string, namespace: string): readonly KubeObject[] => {
    const prefix = namespace === '' ? `${PREFIX}${resource}/` : `${PREFIX}${resource}/${namespace}/`
    return store.list(prefix, endOfPrefix(prefix), store.revision).map(({ object }) => object)
  }
  const rulesOf = (binding: KubeObject): readonly Json[] => {
    const name = textAt(binding, 'roleRef', 'name')
    const isCluster = textAt(binding, 'roleRef', 'kind') === 'ClusterRole'
    const namespace = textAt(binding, 'metadata', 'namespace')
    return listAt(
      store.get(isCluster ? `${PREFIX}clusterroles/${name}` : `${PREFIX}roles/${namespace}/${name}`),
      'rules',
    )
  }
  return (attributes) => {
    const { user, namespace, path } = attributes
    if (user.groups.includes(ADMINISTRATORS)) return true
    if (path !== undefined && attributes.verb === 'get' && DISCOVERY.test(path)) return true
    if (attributes.group === 'authorization.k8s.io' && attributes.resource.startsWith('selfsubject')) return true
    const bindings = [...all('clusterrolebindings', ''), ...(namespace === '' ? [] : all('rolebindings', namespace))]
    return bindings
      .filter((binding) => isSubject(binding, user))
      .some((binding) => rulesOf(binding).some((rule) => allows(rule, attributes)))
  }
}

function isSubject(binding: KubeObject, user: User): boolean {
  return listAt(binding, 'subjects').some((subject) => {
    const name = textAt(subject, 'name')
    switch (textAt(subject, 'kind')) {
      case 'User':
        return name === user.name
      case 'Group':
        return user.groups.includes(name)
      case 'ServiceAccount': {
        const namespace = textAt(subject, 'namespace') || textAt(binding, 'metadata', 'namespace')
        return user.name === `system:serviceaccount:${namespace}:${name}`
      }
      default:
        return false
    }
  })
}

function allows(rule: Json, { verb, group, resource, subresource, name, path }: Attributes): boolean {
  const has = (field: string, wanted: string): boolean => {
    const values = listAt(rule, field)
    return values.includes('*') || values.includes(wanted)
  }
  if (!has('verbs', verb)) return false
  if (path !== undefined) {
    return listAt(rule, 'nonResourceURLs').some(
      (url) => typeof url === 'string' && (url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1)))),
    )
  }
  const full = subresource === '' ? resource : `${resource}/${subresource}`
  const names = listAt(rule, 'resourceNames')
  const isResource =
    has('resources', full) || (subresource !== '' && listAt(rule, 'resources').includes(`*/${subresource}`))
  return has('apiGroups', group) && isResource && (names.length === 0 || (name !== '' && names.includes(name)))
}

/** What a rule review answers: the rules that apply to the user in a namespace. */
export function rulesFor(store: ObjectStore, user: User, namespace: string): readonly Json[] {
  if (user.groups.includes(ADMINISTRATORS)) return [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]
  const found: Json[] = []
  for (const [resource, inner] of [
    ['clusterrolebindings', ''],
    ['rolebindings', namespace],
  ] as const) {
    const prefix = inner === '' ? `${PREFIX}${resource}/` : `${PREFIX}${resource}/${inner}/`
    for (const { object } of store.list(prefix, endOfPrefix(prefix), store.revision)) {
      if (!isSubject(object, user)) continue
      const kind = textAt(object, 'roleRef', 'kind') === 'ClusterRole' ? 'clusterroles' : `roles/${inner}`
      found.push(...listAt(store.get(`${PREFIX}${kind}/${textAt(object, 'roleRef', 'name')}`), 'rules'))
    }
  }
  return found.filter((rule) => at(rule, 'resources') !== undefined)
}
