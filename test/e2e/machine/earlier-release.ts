/** The release before this one: its sources out of the repository, to upgrade from and to go back to. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { attempt, run } from '../process.ts'
import type { Report } from '../report.ts'

/** What v0.1.0 is to be made from. With a release this moves to the one before it. */
export const EARLIER_COMMIT = '7b84a9fec728eef20a31c5b5e45be8e3371c363c'

/** Its folder. A clone without that commit has itself as the release before: everything is tried but two different builds. */
export async function unpackEarlierRelease(
  report: Pick<Report, 'note'>,
  root: string,
  cache: string,
  commit = EARLIER_COMMIT,
): Promise<string> {
  const folder = join(cache, `release-${commit.slice(0, 12)}`)
  if (existsSync(folder)) return folder
  if ((await attempt(['git', '-C', root, 'cat-file', '-e', `${commit}^{commit}`])).code !== 0) {
    report.note(
      `this clone does not have ${commit}, the release before: upgrades begin with this one under another tag`,
    )
    return root
  }
  const [tar, unfinished] = [join(cache, 'release.tar'), join(cache, 'release-unfinished')]
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished)
  await run(['git', '-C', root, 'archive', `--output=${tar}`, commit])
  await run(['tar', '-xf', tar, '-C', unfinished])
  rmSync(tar)
  renameSync(unfinished, folder)
  return folder
}
