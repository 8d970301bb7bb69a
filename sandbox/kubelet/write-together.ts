/** Files that change all at once, as a kubelet has them: each name leads through one link, `..data`, and that is replaced. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

const DATA = '..data'

/** Texts by path, one character for each byte. What is there and not among them goes; nothing happens where nothing changes. */
export function writeTogether(directory: string, files: ReadonlyMap<string, string>): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const before = present(directory)
  if (before !== undefined && isSame(before, files)) return
  const version = mkdtempSync(join(directory, '..version-'))
  for (const [path, text] of files) {
    const file = join(version, path)
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(file, Buffer.from(text, 'latin1'), { mode: 0o600 })
    chmodSync(file, 0o400)
  }
  const draft = join(directory, '..data-draft')
  rmSync(draft, { force: true })
  symlinkSync(version, draft)
  renameSync(draft, join(directory, DATA))
  const tops = new Set([...files.keys()].map((path) => path.split('/')[0] ?? path))
  for (const name of readdirSync(directory)) {
    if (name.startsWith('..') || tops.delete(name)) continue
    rmSync(join(directory, name), { force: true })
  }
  for (const name of tops) symlinkSync(join(DATA, name), join(directory, name))
  if (before !== undefined) rmSync(before, { recursive: true, force: true })
}

/** Directory of what is there now; undefined where nothing is. */
function present(directory: string): string | undefined {
  const link = join(directory, DATA)
  return lstatSync(link, { throwIfNoEntry: false }) === undefined ? undefined : readlinkSync(link)
}

function isSame(directory: string, files: ReadonlyMap<string, string>): boolean {
  const there = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return (
    there.length === files.size &&
    there.every((entry) => {
      const path = join(entry.parentPath, entry.name)
      return files.get(path.slice(directory.length + 1)) === readFileSync(path, 'latin1')
    })
  )
}
