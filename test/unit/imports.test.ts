import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { test } from 'node:test'

/** What every room of a member may use: the layers below, and what the rooms share. */
const BELOW_NODE = [
  'lib',
  'node-server/limits.ts',
  'node-server/raft',
  'node-server/mvcc',
  'node-server/storage',
  'node-server/tls',
  'node-server/transport',
  'node-server/proto',
  'node-server/node/observer.ts',
  'node-server/node/options.ts',
  'node-server/node/peer-requests.ts',
  'node-server/node/ports.ts',
]

/** Rules of docs/architecture.md: a folder, and which of ours it may import. The longest matching folder counts. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: ['lib', 'package.json'],
  'node-server/proto': ['node-server/proto'],
  'node-server/raft': ['lib', 'node-server/raft'],
  'node-server/mvcc': ['lib', 'node-server/proto', 'node-server/mvcc'],
  'node-server/limits.ts': ['lib'],
  'node-server/address': ['lib', 'node-server/address'],
  'node-server/storage': [
    'lib',
    'node-server/limits.ts',
    'node-server/raft',
    'node-server/mvcc',
    'node-server/storage',
  ],
  'node-server/tls': ['lib', 'node-server/address/address.ts', 'node-server/tls'],
  'node-server/transport': [
    'lib',
    'node-server/address',
    'node-server/limits.ts',
    'node-server/raft',
    'node-server/tls',
    'node-server/transport',
  ],
  'node-server/node': BELOW_NODE,
  'node-server/node/auth': [...BELOW_NODE, 'node-server/node/auth'],
  'node-server/node/lease': [...BELOW_NODE, 'node-server/node/lease'],
  'node-server/node/watch': [...BELOW_NODE, 'node-server/node/watch'],
  'node-server/node/membership': [...BELOW_NODE, 'node-server/node/membership'],
  'node-server/node/maintenance': [...BELOW_NODE, 'node-server/node/membership', 'node-server/node/maintenance'],
  'node-server/node/apply': [...BELOW_NODE, 'node-server/node/membership', 'node-server/node/apply'],
  'node-server/node/replica': [
    ...BELOW_NODE,
    'node-server/node/lease',
    'node-server/node/membership',
    'node-server/node/maintenance',
    'node-server/node/apply',
    'node-server/node/replica',
  ],
  'node-server/node/lifecycle': [...BELOW_NODE, 'node-server/node'],
  'node-server/backup': ['lib', 'node-server/proto', 'node-server/grpc/client.ts', 'node-server/backup'],
  'node-server/bolt': ['lib', 'node-server/bolt'],
  'node-server/etcd-file': [
    'lib',
    'node-server/bolt',
    'node-server/proto',
    'node-server/mvcc',
    'node-server/etcd-file',
  ],
  'node-server/listen': ['lib', 'node-server/address', 'node-server/tls', 'node-server/listen'],
  'node-server/http2': ['lib', 'node-server/listen', 'node-server/http2'],
  'node-server/grpc': ['lib', 'node-server/tls', 'node-server/listen', 'node-server/http2', 'node-server/grpc'],
  'node-server/api': [
    'lib',
    'node-server/bolt/writer.ts',
    'node-server/etcd-file/export.ts',
    'node-server/limits.ts',
    'node-server/proto',
    'node-server/mvcc',
    'node-server/node',
    'node-server/api',
    'node-server/grpc/service.ts',
    'node-server/grpc/status-code.ts',
    'node-server/version.ts',
  ],
  'node-server/warm-up': [
    'lib',
    'node-server/limits.ts',
    'node-server/proto',
    'node-server/raft',
    'node-server/mvcc',
    'node-server/storage',
    'node-server/transport',
    'node-server/node',
    'node-server/listen',
    'node-server/http2',
    'node-server/grpc',
    'node-server/api',
    'node-server/warm-up',
  ],
  'node-server/tools': [
    'lib',
    'node-server/backup',
    'node-server/bolt',
    'node-server/etcd-file',
    'node-server/raft',
    'node-server/mvcc',
    'node-server/storage',
    'node-server/node',
    'node-server/proto',
    'node-server/tools',
    'node-server/config/urls.ts',
    'node-server/static-start.ts',
  ],
  'node-server': ['lib', 'node-server'],
  'operator/api': ['lib', 'operator/api'],
  'operator/controller': ['lib', 'operator/controller'],
  'operator/cluster': ['lib', 'operator/api', 'operator/cluster'],
  'operator/backup': [
    'lib',
    'operator/api',
    'operator/cluster/tls/leaves.ts',
    'operator/cluster/tls/scheme.ts',
    'operator/cluster/ports.ts',
    'operator/cluster/tool-end.ts',
    'operator/cluster/tool-jobs.ts',
    'operator/cluster/resources',
    'operator/backup',
  ],
  'operator/page': [
    'lib',
    'operator/api',
    'operator/cluster/look.ts',
    'operator/cluster/ports.ts',
    'operator/config.ts',
    'operator/probes.ts',
    'operator/page',
  ],
  'operator/kube': ['lib', 'operator/kube', 'operator/cluster/ports.ts'],
  'operator/admin-client.ts': ['lib', 'operator/admin-client.ts', 'operator/cluster/ports.ts'],
  // Of a member only how etcd's messages are written, and who carries them.
  'operator/users-client.ts': [
    'lib',
    'node-server/grpc/client.ts',
    'node-server/proto',
    'operator/users-client.ts',
    'operator/admin-client.ts',
    'operator/cluster/ports.ts',
  ],
  operator: ['lib', 'operator'],
  // For people: kubectl does the talking.
  cli: ['lib/version.ts', 'operator/api', 'cli'],
  // HTTP clients of an API server, and nothing else: they work with a real one too.
  'sandbox/client': ['lib', 'operator/kube', 'sandbox/client'],
  'sandbox/controllers': ['lib', 'operator/kube', 'operator/controller', 'sandbox/client', 'sandbox/controllers'],
  'sandbox/kubelet': ['lib', 'operator/kube', 'sandbox/client', 'sandbox/kubelet'],
  'sandbox/start': [
    'lib',
    'node-server/storage/lock.ts',
    'node-server/tls/self-signed.ts',
    'sandbox/api-server/main.ts',
    'sandbox/client',
    'sandbox/controllers',
    'sandbox/kubelet',
    'sandbox/start',
  ],
  'sandbox/api-server': [
    'lib',
    'node-server/proto',
    'node-server/raft',
    'node-server/mvcc',
    'node-server/storage',
    'sandbox/api-server',
  ],
  'sandbox/main.ts': ['sandbox/start'],
}

/** Folders that see no disk, socket, clock or randomness, so that whole clusters run in one seeded process. */
const PURE =
  /^(lib|node-server\/(raft|mvcc|limits|address\/address)|operator\/api|operator\/page\/(limits|view|history)|operator\/backup\/(decide|job|outcome|access|stream|follower|beside)|operator\/cluster\/(rules|resources|decide|look|safety|status|observed|refusals|findings|tls-status|tls\/(certificates|leaves|material|rotation|scheme|secrets|source|wanted)))(\/|\.ts$)/
const IMPURE_MODULES = /^node:(fs|net|http|https|tls|dns|child_process|os|worker_threads|timers)/
const IMPURE_GLOBALS =
  /\b(Date\.now\(|new Date\(\)|Math\.random\(|performance\.now\(|setTimeout\(|setInterval\(|process\.)/

const ROOT = join(import.meta.dirname, '..', '..')
const sources = globSync(['lib/**/*.ts', 'node-server/**/*.ts', 'operator/**/*.ts', 'cli/**/*.ts', 'sandbox/**/*.ts'], {
  cwd: ROOT,
}).map((path) => path.replaceAll('\\', '/'))
const product = sources.filter((path) => !path.endsWith('.test.ts') && !path.includes('/testing/'))

const importsOf = (path: string): string[] =>
  [
    ...readFileSync(join(ROOT, path), 'utf8').matchAll(
      /^(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]/gms,
    ),
  ].map((match) => match[1] ?? match[2] ?? '')

/** Of ours, from the root; empty for a package. */
const targetOf = (path: string, specifier: string): string[] =>
  specifier.startsWith('.') ? [posix.normalize(posix.join(posix.dirname(path), specifier))] : []

const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`)

test('there are sources to check', () => assert.ok(product.length > 10, `${product.length} files`))

for (const path of product) {
  test(`imports of ${path} run one way`, () => {
    const rule = Object.keys(MAY_IMPORT)
      .filter((folder) => isWithin(path, folder))
      .toSorted((a, b) => b.length - a.length)[0]
    assert.ok(rule !== undefined, `${path} stands in no folder of docs/architecture.md`)
    for (const specifier of importsOf(path)) {
      if (!specifier.startsWith('.')) {
        assert.ok(
          !isWithin(specifier, '@kubernetes/client-node') || isWithin(path, 'operator/kube'),
          'only operator/kube imports @kubernetes/client-node',
        )
        assert.ok(
          specifier !== '@grpc/grpc-js' || isWithin(path, 'node-server/grpc'),
          'only node-server/grpc imports @grpc/grpc-js',
        )
      }
      for (const target of targetOf(path, specifier)) {
        const isAllowed: boolean = MAY_IMPORT[rule]?.some((folder) => isWithin(target, folder)) ?? false
        assert.ok(isAllowed, `${rule} may not import ${target}`)
      }
    }
  })
}

/** Files that import one another in a circle, type-only imports included; each with all that are in it. */
function cycles(): readonly (readonly string[])[] {
  const targets = new Map(
    product.map((path) => [path, importsOf(path).flatMap((specifier) => targetOf(path, specifier))]),
  )
  const reach = new Map(product.map((path) => [path, reachable(path, targets)]))
  const isMutual = (a: string, b: string): boolean => reach.get(a)?.has(b) === true && reach.get(b)?.has(a) === true
  const groups = product.map((path) => product.filter((other) => isMutual(path, other)))
  return groups.filter((group, i) => group[0] === product[i])
}

function reachable(from: string, targets: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const seen = new Set<string>()
  const next = [...(targets.get(from) ?? [])]
  for (let path = next.pop(); path !== undefined; path = next.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    next.push(...(targets.get(path) ?? []))
  }
  return seen
}

test('no file imports itself by way of others, not even types', () => {
  assert.deepEqual(cycles(), [])
})

/** The one place where the programs read the machine's clocks, for those who get a Clock as an argument. */
const SYSTEM_CLOCK = 'lib/system-clock.ts'

for (const path of product.filter((path) => PURE.test(path) && path !== SYSTEM_CLOCK)) {
  test(`${path} is pure`, () => {
    for (const specifier of importsOf(path)) assert.doesNotMatch(specifier, IMPURE_MODULES)
    const code = readFileSync(join(ROOT, path), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    assert.doesNotMatch(code, IMPURE_GLOBALS)
  })
}
