/** A release of what is here, but for what needs Docker and Helm: test/e2e has the charts. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { VERSION } from '../lib/version.ts'

const MAIN = join(import.meta.dirname, 'main.ts')
const ROOT = join(import.meta.dirname, '..')

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-release-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

interface Bom {
  readonly bomFormat: string
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } }
  readonly components: readonly { readonly name: string; readonly version: string }[]
}

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>
}

interface LockedPackage {
  readonly version: string
  readonly dev?: boolean
  readonly optionalDependencies?: object
}

test('a release has the CRDs, kubectl raft twice, a bill of materials, and checksums that hold', (t) => {
  const out = join(scratch(t), 'out')
  execFileSync(process.execPath, [MAIN, '--without=image,charts', `--out=${out}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const [bill, crds] = [`raftkv-${VERSION}.cdx.json`, `raftkv-crds-${VERSION}.yaml`]
  const made = ['kubectl-raft', `kubectl-raft-${VERSION}.tgz`, bill, crds]
  assert.deepEqual(readdirSync(out).toSorted(), ['SHA256SUMS', ...made].toSorted())

  const checked = execFileSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: out, encoding: 'utf8' })
  assert.deepEqual(checked.trim().split('\n').toSorted(), made.map((file) => `${file}: OK`).toSorted())

  const documents = parseAllDocuments(readFileSync(join(out, crds), 'utf8')).map((one) => one.toJS())
  assert.deepEqual(
    documents.map(({ kind, spec }) => `${kind} ${spec.names.kind}`),
    [
      'CustomResourceDefinition RaftBackup',
      'CustomResourceDefinition RaftCluster',
      'CustomResourceDefinition ScheduledRaftBackup',
    ],
  )

  const { bomFormat, metadata, components } = JSON.parse(readFileSync(join(out, bill), 'utf8')) as Bom
  assert.deepEqual([bomFormat, metadata.component.name, metadata.component.version], ['CycloneDX', 'raftkv', VERSION])
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock
  const { optionalDependencies } = lock.packages[''] ?? {}
  const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
  const wanted = Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true && !(nameOf(path) in Object(optionalDependencies)))
    .map(([path, { version }]) => `${nameOf(path)}@${version}`)
  const listed = components.map(({ name, version }) => `${name}@${version}`)
  assert.deepEqual([...new Set(listed)].toSorted(), [...new Set(wanted)].toSorted())
})

test('what is in its way is said in a sentence each, and nothing is made', (t) => {
  const out = scratch(t)
  const refused = spawnSync(process.execPath, [MAIN, '--without=image,chart', `--out=${out}`], { encoding: 'utf8' })
  assert.equal(refused.status, 1)
  assert.match(
    refused.stderr,
    /^error: there is no part chart\nnpm run release .*parts: crds, plugin, sbom, charts, image$/m,
  )
  assert.match(refused.stderr, /is there already: remove it/)
  const bare = { PATH: join(out, 'nothing') }
  const without = spawnSync(process.execPath, [MAIN, '--without=sbom', `--out=${join(out, 'new')}`], {
    encoding: 'utf8',
    env: bare,
  })
  assert.match(without.stderr, /the charts need helm; --without charts[\s\S]*the image needs docker with buildx/)
  assert.deepEqual(readdirSync(out), [])
})
