import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { VERSION } from '../lib/version.ts'
import { singleFile } from './single-file.ts'

/** With a kubectl that has one RaftCluster, and with this Node before any other. */
function placeWithKubectl(t: TestContext): { readonly folder: string; readonly env: Record<string, string> } {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-kubectl-raft-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const found = { metadata: { name: 'db', namespace: 'shop' }, spec: { replicas: 3 }, status: { leader: 'db-1', term: 7, commitIndex: 9 } } // prettier-ignore
  const kubectl = join(folder, 'kubectl')
  writeFileSync(kubectl, `#!/bin/sh\ncat <<'EOF'\n${JSON.stringify(found)}\nEOF\n`)
  chmodSync(kubectl, 0o755)
  const path = [folder, dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter)
  return { folder, env: { PATH: path, HOME: folder, npm_config_update_notifier: 'false' } }
}

test('kubectl raft in one file runs where nothing of ours is, beside a kubectl', (t) => {
  const { folder, env } = placeWithKubectl(t)
  const program = join(folder, 'kubectl-raft')
  writeFileSync(program, singleFile())
  const run = (...args: readonly string[]): string =>
    execFileSync(process.execPath, [program, ...args], { cwd: folder, env, encoding: 'utf8' })
  assert.equal(run('--version'), `${VERSION}\n`)
  const text = run('-n', 'shop', 'status', 'db')
  assert.match(text, /^RaftCluster shop\/db\n/)
  assert.match(text, /Leader {6}db-1, term 7, commit index 9/)
  const printed = run('restore', 'db-2', '--from', 's3://backups/prod', '--time', 'latest', '--dry-run')
  assert.deepEqual(JSON.parse(printed).spec.bootstrap.restore.source, { s3: { bucket: 'backups', prefix: 'prod', forcePathStyle: false } }) // prettier-ignore
})

test('a Node that is too old for it is told so, and the licences of what is in it stand in it', (t) => {
  const { folder, env } = placeWithKubectl(t)
  const program = join(folder, 'kubectl-raft')
  writeFileSync(program, singleFile())
  const older = 'data:text/javascript,process.getBuiltinModule=()=>({})'
  const { status, stderr } = spawnSync(process.execPath, ['--import', older, program, 'status', 'db'], { env, encoding: 'utf8' }) // prettier-ignore
  assert.deepEqual([status, stderr], [1, `error: kubectl raft needs Node 22.15 or newer; this is ${process.version}\n`])
  const text = readFileSync(program, 'utf8')
  for (const holder of ['TJ Holowaychuk', 'Colin McDonnell']) assert(text.includes(holder), holder)
})

test('the npm package is that file alone, and npx runs it', (t) => {
  const { folder, env } = placeWithKubectl(t)
  const npm = (cwd: string, ...args: readonly string[]): string =>
    execFileSync('npm', args, { cwd, env, encoding: 'utf8' })
  const packed = npm(import.meta.dirname, 'pack', '--json', '--pack-destination', folder)
  const [{ filename, files }] = JSON.parse(packed) as [Packed]
  assert.equal(filename, `kubectl-raft-${VERSION}.tgz`)
  assert.deepEqual(files.map(({ path }) => path).toSorted(), ['README.md', 'dist/kubectl-raft.js', 'package.json'])
  npm(folder, 'install', '--offline', '--no-audit', '--no-fund', join(folder, filename))
  const npx = (...args: readonly string[]): string =>
    execFileSync('npx', ['--offline', 'kubectl-raft', ...args], { cwd: folder, env, encoding: 'utf8' })
  assert.match(npx('--help'), /^Usage: kubectl raft /)
  assert.match(npx('status', 'db'), /^RaftCluster shop\/db\n/)
})

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}
