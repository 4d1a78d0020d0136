//! Names that are often impersonated, and the domains they really write from.
//!
//! A name counts when it stands as a whole word in the display name of From, or as a label (or a hyphenated piece
//! of one) of a link's host, while the domain is none of its own. Names that are also people's names or
//! everyday words ask for a second word.

/// One brand: names in folded form, separated by `|`, and registrable domains or second-level labels.
pub struct Brand {
    /// Names as in a display name.
    pub names: &'static str,
    /// Labels: a domain whose registrable part begins with `label.` is the brand's own.
    pub domains: &'static str,
    /// May also be looked for inside host names.
    pub in_host: bool,
}

const fn brand(names: &'static str, domains: &'static str) -> Brand {
    Brand { names, domains, in_host: true }
}

const fn spoken(names: &'static str, domains: &'static str) -> Brand {
    Brand { names, domains, in_host: false }
}

/// The list. `domains` are matched as the label before the public suffix.
pub const BRANDS: &[Brand] = &[
    brand("paypal|pay pal", "paypal|paypal-corp"),
    spoken("amazon|amazon prime|amazon com", "amazon|amazonses|amazonaws|primevideo|amazonsellerservices"),
    brand("netflix", "netflix|netflixmail"),
    brand(
        "microsoft|microsoft 365|microsoft account|microsoft team|office 365|office365|outlook team|ms outlook|onedrive|one drive|sharepoint|microsoft teams|ms teams",
        "microsoft|microsoftonline|office|office365|outlook|live|hotmail|msn|sharepointonline|azure|sharepoint|onedrive|skype|bing|xbox|windows",
    ),
    spoken("apple support|apple id|apple inc|apple store|apple pay|app store", "apple|icloud|itunes|me"),
    brand("icloud", "icloud|apple|me"),
    spoken(
        "google account|google accounts|google team|google drive|gmail team|google ads|google support",
        "google|gmail|youtube|googlemail|blogger",
    ),
    spoken(
        "facebook|facebook support|meta support|meta business|meta for business|facebook business|meta ads",
        "facebook|facebookmail|meta|fb|metamail",
    ),
    brand("instagram", "instagram|facebookmail|facebook|meta"),
    brand("whatsapp", "whatsapp|facebook|meta|facebookmail"),
    spoken("linkedin", "linkedin"),
    spoken("tiktok", "tiktok"),
    brand("dhl|dhl express|dhl paket", "dhl|dpdhl|deutschepost|dhl-news"),
    brand("fedex|fed ex", "fedex"),
    spoken("ups support|ups express|ups delivery", "ups|upsemail"),
    brand("usps|us postal service|postal service", "usps|uspsinformeddelivery"),
    spoken("royal mail", "royalmail"),
    spoken("evri|hermes uk|myhermes", "evri|hermes-europe|myhermes"),
    spoken("dpd", "dpd|dpdgroup|dpdlocal"),
    spoken("gls paket|gls tracking", "gls-group|gls-pakete|gls"),
    spoken("correos|correos express", "correos|correosexpress"),
    brand("correios", "correios"),
    spoken("la poste|chronopost|colissimo", "laposte|chronopost|colissimo"),
    spoken("poste italiane|posteitaliane|postepay|bancoposta|posteinfo", "poste|posteitaliane|postepay"),
    spoken(
        "australia post|auspost|canada post|an post|swiss post|die post|swisspass|postnl|bpost|postnord",
        "auspost|canadapost|anpost|post|swisspost|swisspass|postnl|bpost|postnord|canadapost-postescanada",
    ),
    brand("docusign|docu sign", "docusign"),
    spoken("dropbox", "dropbox|dropboxmail"),
    spoken("wetransfer|we transfer", "wetransfer"),
    spoken("adobe sign|adobe acrobat|adobe document cloud", "adobe|adobesign|echosign"),
    brand("coinbase", "coinbase"),
    brand("binance", "binance"),
    brand("metamask|meta mask", "metamask|consensys"),
    brand("trustwallet|trust wallet", "trustwallet"),
    spoken("ledger live|ledger support|ledger wallet", "ledger"),
    spoken("trezor", "trezor"),
    spoken(
        "blockchain|blockchain com|kraken|opensea|crypto com|exodus wallet|phantom wallet",
        "blockchain|kraken|opensea|crypto|exodus|phantom",
    ),
    spoken("geek squad|best buy", "bestbuy|geeksquad|bestbuyplus"),
    spoken(
        "norton lifelock|norton security|nortonlifelock|norton antivirus|norton 360|lifelock",
        "norton|nortonlifelock|symantec|lifelock|gen|gendigital",
    ),
    spoken("mcafee|mcafee total protection|mcafee antivirus", "mcafee"),
    spoken("avast|kaspersky|bitdefender", "avast|kaspersky|bitdefender"),
    brand("walmart", "walmart"),
    spoken(
        "costco|costco wholesale|sams club|home depot|the home depot|lowes|kohls|walgreens|cvs pharmacy|dicks sporting goods|ace hardware|tractor supply|harbor freight|tupperware|omaha steaks|southwest airlines|delta airlines|american airlines|state farm|aarp|verizon wireless|xfinity",
        "costco|samsclub|homedepot|lowes|kohls|walgreens|cvs|dickssportinggoods|acehardware|tractorsupply|harborfreight|tupperware|omahasteaks|southwest|delta|aa|statefarm|aarp|verizon|verizonwireless|vzw|t-mobile|att|xfinity|comcast",
    ),
    spoken("spotify", "spotify"),
    spoken(
        "disney plus|hulu|hbo max|paramount plus|prime video",
        "disney|disneyplus|hulu|hbomax|hbo|paramountplus|primevideo|amazon|go",
    ),
    spoken("ebay", "ebay|ebayinc"),
    spoken("bank of america", "bankofamerica|bofa|bofasecurities"),
    brand("wells fargo|wellsfargo", "wellsfargo|wellsfargoadvisors"),
    spoken(
        "chase bank|jpmorgan chase|chase online|chase com|chase alert|chase alerts|chase support",
        "chase|jpmorgan|jpmchase",
    ),
    spoken(
        "citibank|citi bank|citi alerts|capital one|us bank|pnc bank|td bank|truist|navy federal|usaa|discover card|american express|amex|american express online|mastercard|visa card",
        "citi|citibank|citigroup|capitalone|usbank|pnc|td|tdbank|truist|navyfederal|usaa|discover|americanexpress|aexp|amex|mastercard|visa",
    ),
    spoken(
        "hsbc|barclays|lloyds bank|natwest|santander|monzo|revolut|n26|ing bank|ing diba|rabobank|abn amro|ing direct|bunq",
        "hsbc|barclays|barclaycard|lloydsbank|natwest|santander|gruposantander|bancosantander|monzo|revolut|wise|transferwise|n26|ing|ing-diba|rabobank|abnamro|bunq",
    ),
    spoken(
        "sparkasse|volksbank|raiffeisen|raiffeisenbank|commerzbank|deutsche bank|postbank|comdirect|dkb|targobank|volksbanken raiffeisenbanken|vr bank|hypovereinsbank|consorsbank|easybank|bawag|erste bank",
        "sparkasse|volksbank|raiffeisen|raiffeisenbank|commerzbank|deutsche-bank|db|postbank|comdirect|dkb|targobank|vr|hypovereinsbank|consorsbank|easybank|bawag|bawagpsk|erstebank|sparkasse-mail|vr-bank",
    ),
    spoken(
        "credit agricole|bnp paribas|societe generale|la banque postale|boursorama|caisse d epargne|credit mutuel|ameli|assurance maladie|impots gouv|dgfip|antai|carte vitale|free mobile|bouygues telecom|ovh|ovhcloud",
        "credit-agricole|ca|bnpparibas|societegenerale|labanquepostale|boursorama|caisse-epargne|creditmutuel|ameli|assurance-maladie|impots|gouv|antai|orange|sfr|free|bouyguestelecom|ovh|ovhcloud",
    ),
    spoken(
        "intesa sanpaolo|unicredit|banca intesa|nexi|bper|agenzia delle entrate|inps|aruba|aruba it",
        "intesasanpaolo|unicredit|unicreditgroup|nexi|bper|agenziaentrate|inps|aruba|staff|enel|tim|telecomitalia",
    ),
    spoken(
        "bbva|caixabank|la caixa|bankia|banco sabadell|agencia tributaria|sede electronica|dgt|seguridad social|movistar|endesa|banco santander",
        "bbva|caixabank|lacaixa|bankia|bancsabadell|sabadell|agenciatributaria|gob|dgt|seg-social|movistar|telefonica|endesa|iberdrola|santander|bancosantander",
    ),
    spoken(
        "itau|banco itau|bradesco|banco bradesco|caixa economica|banco do brasil|nubank|mercado livre|mercado pago|mercado libre|mercadopago|mercadolivre|livelo|serasa|detran|receita federal|sefaz|magalu|magazine luiza|americanas|picpay|santander brasil|banco inter|sem parar|latam pass",
        "itau|itau-unibanco|itaucard|bradesco|bradescocartoes|caixa|bb|bancobrasil|nubank|mercadolivre|mercadopago|mercadolibre|livelo|serasa|serasaexperian|detran|receita|fazenda|gov|magazineluiza|magalu|americanas|picpay|santander|bancointer|inter|vivo|claro|semparar|smiles|latam|latampass|esfera",
    ),
    spoken(
        "internal revenue service|hmrc|hm revenue|gov uk|social security administration|ssa gov|tv licensing|dvla|mygov|australian taxation office|service canada|canada revenue agency",
        "irs|hmrc|gov|service|ssa|tvlicensing|dvla|my|ato|canada|cra-arc",
    ),
    spoken(
        "ionos|1 1 ionos|1und1|strato|web de|gmx|t online|telekom|vodafone|namecheap|godaddy|go daddy|hostinger|bluehost|cpanel|cloudflare|squarespace",
        "ionos|1und1|strato|web|gmx|t-online|telekom|vodafone|o2|o2online|telefonica|namecheap|godaddy|secureserver|hostinger|bluehost|cpanel|cloudflare|squarespace|wordpress|wordfence|automattic",
    ),
    spoken("airbnb|booking com", "airbnb|booking|expedia|expediamail|uber"),
    spoken(
        "zoom video|zoom meeting|zoom meetings|slack|steam support|epic games|roblox|playstation|telegram support|discord",
        "zoom|slack|slack-mail|github|gitlab|steampowered|epicgames|roblox|playstation|sony|sonyentertainmentnetwork|nintendo|telegram|signal|discord|discordapp|snapchat|twitter|x",
    ),
    spoken(
        "swisscom|postfinance|credit suisse|migros|twint|serafe",
        "swisscom|bluewin|sunrise|postfinance|ubs|credit-suisse|migros|twint|serafe|sbb",
    ),
    spoken(
        "aliexpress|alibaba|shein|temu|shopify|etsy|mercari|rakuten|rakuten card|smbc|mufg",
        "aliexpress|alibaba|shein|temu|shopify|shopifyemail|etsy|mercari|rakuten|rakuten-card|jcb|smbc|smbc-card|aeon|bk|mufg|saisoncard",
    ),
];
