/** A release of this tree, but for its image: its checksums hold, and Helm takes its charts. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { run } from './process.ts'

export async function tryRelease(root: string, programs: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-e2e-release-'))
  const [out, PATH] = [join(folder, 'out'), [programs, process.env['PATH'] ?? ''].join(delimiter)]
  try {
    const release = [process.execPath, join(root, 'release', 'main.ts'), '--without=image', `--out=${out}`]
    await run(release, { env: { PATH } })
    await run(['sha256sum', '--check', '--strict', 'SHA256SUMS'], { cwd: out })
    const charts = readdirSync(out).filter((file) => /^raft(kv-operator|-cluster)-.*\.tgz$/.test(file))
    if (charts.length !== 2) throw new Error(`its charts are ${charts.join()}`)
    for (const chart of charts) await run(['helm', 'template', 'tried', join(out, chart)], { env: { PATH } })
  } finally {
    rmSync(folder, { recursive: true })
  }
}
