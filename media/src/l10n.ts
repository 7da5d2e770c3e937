/** Words of the user's language, which a page of the editor brings along. First of all imports: others are words at once. */
import { config } from '@vscode/l10n';

const bundle = document.querySelector('#l10n')?.textContent;
if (bundle) config({ contents: bundle });
