import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { singleFile } from './single-file.ts'

test('kubectl raft in one file runs where nothing of ours is, beside a kubectl', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-kubectl-raft-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const program = join(folder, 'kubectl-raft')
  writeFileSync(program, singleFile())
  const found = { metadata: { name: 'db', namespace: 'shop' }, spec: { replicas: 3 }, status: { leader: 'db-1', term: 7, commitIndex: 9 } } // prettier-ignore
  const kubectl = join(folder, 'kubectl')
  writeFileSync(kubectl, `#!/bin/sh\ncat <<'EOF'\n${JSON.stringify(found)}\nEOF\n`)
  chmodSync(kubectl, 0o755)
  const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}` }
  const text = execFileSync(process.execPath, [program, '-n', 'shop', 'status', 'db'], { cwd: folder, env, encoding: 'utf8' }) // prettier-ignore
  assert.match(text, /^RaftCluster shop\/db\n/)
  assert.match(text, /Leader {6}db-1, term 7, commit index 9/)
  const dryRun = ['restore', 'db-2', '--from', 's3://backups/prod', '--time', 'latest', '--dry-run']
  const printed = execFileSync(process.execPath, [program, ...dryRun], { cwd: folder, env, encoding: 'utf8' })
  assert.deepEqual(JSON.parse(printed).spec.bootstrap.restore.source, { s3: { bucket: 'backups', prefix: 'prod', forcePathStyle: false } }) // prettier-ignore
})
