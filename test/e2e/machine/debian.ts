/** Programs of Debian packages, which are unpacked and not installed. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { isInstalled, run } from '../process.ts'

/** With all that they need and this machine lacks. `what` is told to whoever has no apt-get. */
export async function unpackPackages(what: string, names: readonly string[], folder: string): Promise<void> {
  if (!(await isInstalled('apt-get'))) throw new Error(`${what} is needed, and is not here: install it`)
  const download = mkdtempSync(join(tmpdir(), 'raftkv-packages-'))
  try {
    await run(['apt-get', 'update', '-qq'])
    const plan = await run(['apt-get', '--simulate', '--no-install-recommends', 'install', ...names])
    const packages = [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name)
    await run(['apt-get', 'download', '-qq', ...packages], { cwd: download })
    mkdirSync(folder, { recursive: true })
    for (const file of readdirSync(download)) await run(['dpkg', '-x', join(download, file), folder])
  } finally {
    rmSync(download, { recursive: true })
  }
}

/** Folders of the libraries below one with unpacked packages, for LD_LIBRARY_PATH. */
export function librariesIn(folder: string): string {
  return readdirSync(join(folder, 'usr', 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((path) => /-linux-gnu(\/pulseaudio)?$/.test(path))
    .map((path) => join(folder, 'usr', 'lib', path))
    .join(delimiter)
}
