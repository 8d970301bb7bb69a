/**
 * A file of secrets: one a line, the newest first. Any of them counts, so that those who hold the new one and those who still
 * hold the old one get along while a change goes round. Pure.
 */
export function secretsOf(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => line.trim())
  return [...new Set(lines.filter((line) => line !== ''))]
}
