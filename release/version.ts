/**
 * package.json alone says the version; what else must have it is written from there. `npm version 0.2.0` changes package.json, runs this file
 * (the script `version`), commits, and tags the commit.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { VERSION } from '../lib/version.ts'

const ROOT = join(import.meta.dirname, '..')
const NUMBER = String.raw`\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?`

/** Where it stands, and behind what: as a chart's field, as an image's tag, as a package's version. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  'charts/raftkv-operator/Chart.yaml': ['\nversion: ', '\nappVersion: '],
  'charts/raft-cluster/Chart.yaml': ['\nversion: ', '\nappVersion: '],
  'cli/package.json': ['\n  "version": "'],
  'examples/production.yaml': ['\n    tag: '],
  'README.md': ['/raftkv:', 'image.tag='],
}

/** What these files should be, by their paths from the root. */
export function versioned(version: string): ReadonlyMap<string, string> {
  return new Map(Object.entries(PLACES).map(([path, places]) => [path, withVersion(path, places, version)]))
}

function withVersion(path: string, places: readonly string[], version: string): string {
  return places.reduce(
    (text, before) => {
      const place = new RegExp(`(?<=${before})${NUMBER}`, 'g')
      if (!place.test(text)) throw new Error(`${path} has no version behind ${JSON.stringify(before)}`)
      return text.replaceAll(place, version)
    },
    readFileSync(join(ROOT, path), 'utf8'),
  )
}

/** What keeps this version from being released; empty if nothing does. */
export function problemsOf(version: string): readonly string[] {
  const changes = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8')
  const isTold = changes.split('\n').includes(`## ${version}`)
  const others = [...versioned(version)].filter(([path, text]) => readFileSync(join(ROOT, path), 'utf8') !== text)
  return [
    ...(isTold ? [] : [`CHANGELOG.md has no section ## ${version}`]),
    ...others.map(([path]) => `${path} has another version: node release/version.ts writes this one`),
  ]
}

if (import.meta.main) for (const [path, text] of versioned(VERSION)) writeFileSync(join(ROOT, path), text)
