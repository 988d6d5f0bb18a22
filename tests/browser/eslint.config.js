// @ts-check
import js from "@eslint/js";
import globals from "globals";

const strict = {
  eqeqeq: "error",
  "no-var": "error",
  "prefer-const": "error",
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-restricted-properties": [
    "error",
    { property: "innerHTML", message: "Texts of a workflow are no markup: use textContent." },
    { property: "outerHTML", message: "Texts of a workflow are no markup: use textContent." },
    { property: "insertAdjacentHTML", message: "Use append." },
  ],
  "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
  "no-console": "error",
};

export default [
  js.configs.recommended,
  { files: ["web/**/*.js"], languageOptions: { globals: globals.browser }, rules: strict },
  {
    files: ["tests/browser/*.js"],
    languageOptions: { globals: { ...globals.node, ...globals.browser } },
    rules: { ...strict, "no-console": "off" },
  },
];
