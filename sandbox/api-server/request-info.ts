/** What a path asks for. Source: Kubernetes docs, API concepts (resource URIs). */

export interface RequestInfo {
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly namespace: string
  readonly name: string
  readonly subresource: string
  /** Of the old `/watch/` paths: a watch whatever the parameters say. */
  readonly isWatchPath: boolean
  /** What comes after the subresource, for proxies. */
  readonly rest: readonly string[]
}

/** Undefined for what is no resource's path. */
export function parseResourcePath(path: string): RequestInfo | undefined {
  let parts: readonly string[]
  try {
    parts = path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent)
  } catch {
    return undefined
  }
  const [root, ...more] = parts
  if (root === 'api') return parse('', more)
  if (root === 'apis') return parse(more[0] ?? '', more.slice(1))
  return undefined
}

const OF_A_NAMESPACE = new Set(['status', 'finalize'])

function parse(group: string, parts: readonly string[]): RequestInfo | undefined {
  const [version, ...after] = parts
  const isWatchPath = after[0] === 'watch'
  const tail = isWatchPath ? after.slice(1) : after
  if (version === undefined || tail.length === 0) return undefined
  const base = { group, version, isWatchPath }
  const [first = '', second = '', third = '', fourth = '', fifth = '', ...rest] = tail
  if (first === 'namespaces' && third !== '' && !OF_A_NAMESPACE.has(third)) {
    return { ...base, namespace: second, resource: third, name: fourth, subresource: fifth, rest }
  }
  const moreRest = tail.slice(3)
  return { ...base, namespace: '', resource: first, name: second, subresource: third, rest: moreRest }
}
