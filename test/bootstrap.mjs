// Installs the packages when they are missing or older than the lockfile, so that every npm script works on a fresh
// clone. Plain JavaScript for the machine's own Node (20 or newer): the Node 26 that runs the rest comes with it.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const installed = `${root}node_modules/.package-lock.json`
const isFresh = existsSync(installed) && statSync(installed).mtimeMs >= statSync(`${root}package-lock.json`).mtimeMs

if (!isFresh) {
  console.log('Installing the packages named in package-lock.json ...')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  // Engine warnings are about the Node that installs, not about the Node 26 that runs: only errors matter here.
  const { status } = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) {
    console.error('npm ci failed: see above. It needs a package registry the first time; later runs work offline.')
    process.exit(1)
  }
}
