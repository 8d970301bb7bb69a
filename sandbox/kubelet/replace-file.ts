import { renameSync, writeFileSync } from 'node:fs'

/** A reader sees the old text or the new one, never a part. For its owner only. */
export function replaceFile(path: string, text: string): void {
  const draft = `${path}.draft`
  writeFileSync(draft, text, { mode: 0o600 })
  renameSync(draft, path)
}
